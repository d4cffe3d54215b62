/**
 * Programs as they run on a machine where only numakit was installed: own home, own caches, a PATH without compilers,
 * no hwloc, no libnuma.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkoutFile, type Ran } from "../support/checkout.ts";

/** Names of programs in `.tools/bin`. */
export type Tool = "bun" | "deno" | "node" | "node20" | "node22" | "node24" | "pnpm";

/** The system's hwloc and libnuma, which numakit's package must not need. */
function systemLibraries(): string[] {
  const { stdout } = spawnSync("/sbin/ldconfig", ["-p"], { encoding: "utf8" });
  return [...(stdout ?? "").matchAll(/lib(?:hwloc|numa)\.so\S* .*=> (\S+)/g)]
    .map(([, path]) => path as string);
}

/** Where a program of this machine is: the sandbox's PATH does not have it. */
function which(name: string): string {
  const { stdout } = spawnSync("sh", ["-c", 'command -v "$0"', name], { encoding: "utf8" });
  return stdout.trim();
}

/** Whether this process may make a mount namespace: root may, unless its container forbids it. */
export function mayMount(): boolean {
  return spawnSync(which("unshare"), ["--mount", which("true")]).status === 0;
}

/** Hides the libraries in a mount namespace of the program's own, where that is allowed: without effect elsewhere. */
function hidingPrefix(folder: string): string[] {
  const empty = join(folder, "empty");
  writeFileSync(empty, "");
  const mounts = systemLibraries().map((path) =>
    `${which("mount")} --bind '${empty}' '${path}' && `
  );
  const prefix = [
    which("unshare"),
    "--mount",
    which("sh"),
    "-c",
    `${mounts.join("")}exec "$@"`,
    "sh",
  ];
  const { status } = spawnSync(prefix[0] as string, [...prefix.slice(1), which("true")]);
  return status === 0 ? prefix : [];
}

/** An empty machine. */
export class Sandbox {
  /** Everything of it is below this folder. */
  readonly root: string = mkdtempSync(join(tmpdir(), "numakit-packages-"));
  /** Whether the system's hwloc and libnuma are out of reach. */
  readonly hidden: boolean;
  readonly #prefix: readonly string[];
  readonly #registry: string;

  constructor(registry: string) {
    this.#registry = registry;
    this.#prefix = hidingPrefix(this.root);
    this.hidden = this.#prefix.length > 0;
    mkdirSync(join(this.root, "home"));
    writeFileSync(
      join(this.root, "home/.npmrc"),
      `registry=${registry}\naudit=false\nfund=false\nupdate-notifier=false\nignore-scripts=true\n`,
    );
  }

  /** A new empty folder. */
  folder(name: string): string {
    const folder = join(this.root, name);
    mkdirSync(folder, { recursive: true });
    return folder;
  }

  /** A PATH with nothing but one runtime, under the names that programs call it by. */
  #path(tool: Tool): string {
    const folder = join(this.root, "bin", tool);
    mkdirSync(folder, { recursive: true });
    const name = tool.startsWith("node") ? "node" : tool;
    rmSync(join(folder, name), { force: true });
    symlinkSync(checkoutFile(`.tools/bin/${tool}`), join(folder, name));
    return folder;
  }

  #env(tool: Tool): Record<string, string> {
    const home = join(this.root, "home");
    return {
      HOME: home,
      PATH: this.#path(tool),
      LANG: "C.UTF-8",
      NO_COLOR: "1",
      TMPDIR: this.folder("tmp"),
      XDG_CACHE_HOME: join(home, "cache"),
      XDG_DATA_HOME: join(home, "data"),
      XDG_STATE_HOME: join(home, "state"),
      DENO_DIR: join(home, "deno"),
      DENO_NO_UPDATE_CHECK: "1",
      BUN_INSTALL_CACHE_DIR: join(home, "bun"),
      NPM_CONFIG_REGISTRY: this.#registry,
      NODE_DISABLE_COLORS: "1",
    };
  }

  /**
   * Runs a program.
   *
   * @param tool The runtime; it is the program and all there is on the PATH.
   * @param args Its arguments.
   * @param options Where, what is added to the environment, and another program to run instead of the runtime.
   */
  run(
    tool: Tool,
    args: readonly string[],
    options: {
      readonly cwd: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly program?: string;
    },
  ): Promise<Ran> {
    const program = options.program ?? checkoutFile(`.tools/bin/${tool}`);
    const [first, ...rest] = [...this.#prefix, program, ...args] as [string, ...string[]];
    return new Promise((resolve, reject) => {
      const child = spawn(first, rest, {
        cwd: options.cwd,
        env: { ...this.#env(tool), ...options.env },
        stdio: ["ignore", "pipe", "pipe"],
      });
      const said = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (text: string) => said[name] += text);
      }
      child.on("error", reject);
      child.on("close", (status, signal) => resolve({ status, signal, ...said }));
    });
  }

  /** Removes everything. */
  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** npm's own program, which any Node runs. */
export function npmProgram(): string {
  const { stdout } = spawnSync("readlink", ["-f", which("npm")], { encoding: "utf8" });
  return stdout.trim();
}

/** Says all that a program said, for a failed assertion. */
export function told({ status, signal, stdout, stderr }: Ran): string {
  return `exit ${status ?? signal}\n${stdout}\n${stderr}`;
}

/** A file's text. */
export function text(...path: string[]): string {
  return readFileSync(join(...path), "utf8");
}
