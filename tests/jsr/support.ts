import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { checkoutFile } from "../support/checkout.ts";
import { documentedFlags } from "../support/permissions_doc.ts";
import { Registry } from "./registry.ts";

/** What a program said. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program while this process goes on serving. */
export function runBeside(
  command: readonly [string, ...string[]],
  options: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): Promise<Ran> {
  const [program, ...args] = command;
  const env: NodeJS.ProcessEnv = { ...process.env, NO_COLOR: "1", ...options.env };
  delete env["NUMAKIT_LIBRARY"];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: options.cwd, env });
    const said = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => said.stdout += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => said.stderr += text);
    child.on("error", reject);
    child.on("close", (status) => resolve({ status, ...said }));
  });
}

/** Writes the published files into a folder, as they are in the registry. */
export function unpack(files: ReadonlyMap<string, Uint8Array>, folder: string): void {
  for (const [name, bytes] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
}

/** The same bytes with one of them changed. */
export function damage(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy[copy.length >> 1] = (copy[copy.length >> 1] as number) ^ 1;
  return copy;
}

/** Someone who has Deno, an empty folder, empty caches, and this package in a registry. */
export class User {
  readonly registry: Registry = new Registry();
  readonly folder: string = mkdtempSync(join(tmpdir(), "numakit-jsr-"));
  /** Where the C helper is kept. */
  readonly cache: string = join(this.folder, "cache");

  /** Publishes the checkout to a registry and writes the quick start into the folder. */
  static async create(): Promise<{ user: User; published: Ran }> {
    const user = new User();
    await user.registry.start();
    const published = await runBeside(
      // The token is none: only a registry that trusts everyone takes it.
      [checkoutFile(".tools/bin/deno"), "publish", "--allow-dirty", "--no-provenance", "--token=x"],
      { cwd: checkoutFile("."), env: { JSR_URL: user.registry.url } },
    );
    cpSync(checkoutFile("docs/quickstart/main.ts"), join(user.folder, "main.ts"));
    cpSync(checkoutFile("docs/quickstart/worker.ts"), join(user.folder, "worker.ts"));
    user.map("jsr:@numakit/numakit@0.1.0");
    return { user, published };
  }

  /** Says what "@numakit/numakit" means. */
  map(target: string): void {
    const config = { imports: { "@numakit/numakit": target } };
    writeFileSync(join(this.folder, "deno.json"), JSON.stringify(config));
  }

  /** Forgets the C helper. */
  emptyCache(): void {
    rmSync(this.cache, { recursive: true, force: true });
  }

  /** Forgets the modules. */
  emptyDenoDir(): void {
    rmSync(join(this.folder, "deno"), { recursive: true, force: true });
  }

  /** Runs a module of the folder with these flags. */
  run(flags: readonly string[], module = "main.ts"): Promise<Ran> {
    return runBeside(
      [checkoutFile(".tools/bin/deno"), "run", "--no-prompt", "--quiet", ...flags, module],
      {
        cwd: this.folder,
        env: {
          JSR_URL: this.registry.url,
          // So that a request to the other registry would be seen, too.
          NPM_CONFIG_REGISTRY: this.registry.url,
          DENO_DIR: join(this.folder, "deno"),
          XDG_CACHE_HOME: this.cache,
        },
      },
    );
  }

  /** The flags that docs/permissions.md asks for; without the network once the helper is in the cache. */
  flags(network: boolean): string[] {
    const documented = documentedFlags("Deno");
    const rows = [
      "launch threads",
      network ? "from JSR, the first time" : "from JSR, when the helper is in the cache",
    ];
    return rows.flatMap((row) => documented.get(row) as string[]).map((flag) =>
      flag.replace("PROGRAM", this.folder)
        .replace(/\bCACHE\b/, join(this.cache, "numakit"))
        .replace("jsr.io", new URL(this.registry.url).host)
    );
  }

  /** Cleans up. */
  async leave(): Promise<void> {
    await this.registry.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
