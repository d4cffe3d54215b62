/**
 * What bundlers make of a program with threads and tasks, with the settings that docs/packages.md gives. What they made
 * runs in a folder of its own, far from where it was made: nothing but the C helper and koffi is installed there.
 *
 * @module
 */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { checkoutFile, type Ran } from "../support/checkout.ts";
import { runArguments } from "./consumers.ts";
import { type Sandbox, told, type Tool } from "./sandbox.ts";

/** What the tests of bundles have made before. */
export interface Made {
  readonly sandbox: Sandbox;
  /** A project where numakit and koffi are installed. */
  readonly folder: string;
}

const RUNTIMES: readonly Tool[] = ["node20", "node", "bun", "deno"];
const HELPER = `@numakit/linux-${process.arch}-gnu`;

const PROGRAM: Readonly<Record<string, string>> = {
  "main.js": `import { Arena, launch, TaskPool, topology } from "numakit";
const arena = Arena.create({ node: topology().nodes[0].id, size: "1 MiB" });
const thread = launch(new URL("./worker.js", import.meta.url), { args: { arena } });
console.log(await thread.join());
const pool = await TaskPool.create(new URL("./tasks.js", import.meta.url), { threads: 1 });
console.log(await pool.run("add", [1, 2]));
await pool.close();
`,
  "worker.js": `import { Arena, worker } from "numakit";
export default worker(({ arena }) => arena instanceof Arena && arena.allocInt32(1024).length);
`,
  "tasks.js": "export const add = (a, b) => a + b;\n",
  "worker_entry.js": 'import "numakit/worker_entry";\n',
  "topology.js": `import { topology } from "numakit";
console.log(topology().nodes.length > 0);
`,
};

/** The same for CommonJS, which has no `import.meta.url` and no `await` outside functions. */
const COMMONJS: Readonly<Record<string, string>> = {
  "main.js": `import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { launch, Mutex, topology } from "numakit";
const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
const url = pathToFileURL(join(__dirname, "worker.cjs"));
console.log(topology().nodes.length > 0);
launch(url, { args: { lock } }).join().then(console.log, (error) => console.error(String(error)));
`,
  "worker.js": `import { worker } from "numakit";
export default worker(({ lock }) => lock.acquire({ timeoutMs: 9999 }) !== undefined && "acquired");
`,
  "worker_entry.js": PROGRAM["worker_entry.js"] as string,
};

/** A file that docs/packages.md shows. */
function documented(file: string): string {
  const blocks = readFileSync(checkoutFile("docs/packages.md"), "utf8")
    .matchAll(/^```js\n(\/\/ (\S+).*\n[\s\S]*?)^```$/gm);
  const found = [...blocks].find(([, , name]) => name === file)?.[1];
  assert.ok(found !== undefined, `docs/packages.md has no block that begins with // ${file}`);
  return found;
}

/** How a bundler is run, and its file of settings. */
interface Build {
  readonly tool?: Tool;
  readonly config?: string;
  readonly args: readonly string[];
}

const MODULES = ["main.js", "worker.js", "tasks.js", "worker_entry.js"];

/** webpack's program would be a package of its own. */
const BUILDS: Readonly<Record<string, Build>> = {
  "bun build": {
    tool: "bun",
    args: ["build", "--splitting", "--target=node", "--outdir=dist", ...MODULES],
  },
  rollup: {
    config: "rollup.config.js",
    args: [checkoutFile("node_modules/rollup/dist/bin/rollup"), "-c", "--failAfterWarnings"],
  },
  vite: {
    config: "vite.config.js",
    args: [checkoutFile("node_modules/vite/bin/vite.js"), "build"],
  },
  webpack: { config: "webpack.config.js", args: ["run_webpack.js"] },
};

const RUN_WEBPACK = `import webpack from "webpack";
const { default: config } = await import(process.argv[2] ?? "./webpack.config.js");
webpack(config, (error, stats) => {
  console.log(error ?? stats.toString({ colors: false }));
  process.exitCode = error || stats.hasErrors() || stats.hasWarnings() ? 1 : 0;
});
`;

/**
 * Defines the tests.
 *
 * @param made What was made before them; called when they run.
 */
export function testBundlers(made: () => Made): void {
  const node = (cwd: string, ...args: string[]): Promise<Ran> =>
    made().sandbox.run("node", args, { cwd });

  async function succeeds(ran: Promise<Ran>): Promise<string> {
    const result = await ran;
    assert.equal(result.status, 0, told(result));
    return result.stdout;
  }

  /** A project below the one where numakit is installed, with the bundlers of the checkout. */
  function project(name: string, files: Readonly<Record<string, string>>): string {
    const folder = join(made().folder, name);
    mkdirSync(join(folder, "node_modules/@rollup"), { recursive: true });
    for (const tool of ["webpack", "@rollup/plugin-node-resolve"]) {
      const link = join(folder, "node_modules", tool);
      symlinkSync(checkoutFile(`node_modules/${tool}`), link);
    }
    const manifest = { "package.json": '{ "type": "module" }', "run_webpack.js": RUN_WEBPACK };
    for (const [file, text] of Object.entries({ ...manifest, ...files })) {
      writeFileSync(join(folder, file), text);
    }
    return folder;
  }

  /** Brings what was made to where there is nothing else. */
  function deploy(name: string, from: string, type: "module" | "commonjs"): string {
    const { sandbox, folder } = made();
    const to = sandbox.folder(`far-${name}`);
    cpSync(from, join(to, "dist"), { recursive: true });
    writeFileSync(join(to, "package.json"), JSON.stringify({ type }));
    for (const installed of [HELPER, "koffi", "@koromix"]) {
      const target = join(to, "node_modules", installed);
      cpSync(join(folder, "node_modules", installed), target, { recursive: true });
    }
    return to;
  }

  async function runsOnAll(cwd: string, file: string, output: string): Promise<void> {
    for (const tool of RUNTIMES) {
      const ran = made().sandbox.run(tool, runArguments(tool, file), { cwd });
      assert.equal(await succeeds(ran), output, tool);
    }
  }

  describe("a bundle made as docs/packages.md says", () => {
    for (const [name, { tool = "node", config, args }] of Object.entries(BUILDS)) {
      it(`with ${name} runs threads and tasks on every runtime, wherever it is`, async () => {
        const settings = config === undefined ? {} : { [config]: documented(config) };
        const cwd = project(name, { ...PROGRAM, ...settings });
        await succeeds(made().sandbox.run(tool, args, { cwd }));
        const far = deploy(name, join(cwd, "dist"), "module");
        await runsOnAll(far, "dist/main.js", "1024\n3\n");
      });
    }

    it("with webpack's own settings knows the machine on every runtime", async () => {
      const config = `export default {
  mode: "development",
  target: "node",
  entry: "./topology.js",
  output: { path: import.meta.dirname + "/dist", filename: "topology.cjs" },
};
`;
      const cwd = project("webpack-defaults", { ...PROGRAM, "defaults.js": config });
      await succeeds(node(cwd, "run_webpack.js", "./defaults.js"));
      await runsOnAll(
        deploy("webpack-defaults", join(cwd, "dist"), "module"),
        "dist/topology.cjs",
        "true\n",
      );
    });

    const commonJs: Readonly<Record<string, (cwd: string) => Promise<Ran>>> = {
      esbuild: (cwd) => {
        const flags = ["--bundle", "--platform=node", "--format=cjs", "--out-extension:.js=.cjs"];
        const program = checkoutFile("node_modules/.bin/esbuild");
        const args = ["main.js", "worker.js", "worker_entry.js", ...flags, "--outdir=dist"];
        return made().sandbox.run("node", args, { cwd, program });
      },
      "bun build": (cwd) => {
        const flags = ["--target=node", "--format=cjs", "--entry-naming=[name].cjs"];
        const files = ["main.js", "worker.js", "worker_entry.js"];
        return made().sandbox.run("bun", ["build", ...flags, "--outdir=dist", ...files], { cwd });
      },
    };
    for (const [name, build] of Object.entries(commonJs)) {
      it(`as CommonJS with ${name} runs threads on every runtime, wherever it is`, async () => {
        const id = `${name.replace(" ", "-")}-commonjs`;
        // bun build writes the path of the source in place of __dirname.
        const main = (COMMONJS["main.js"] as string).replace("__dirname", "process.argv[1], '..'");
        const cwd = project(id, name === "esbuild" ? COMMONJS : { ...COMMONJS, "main.js": main });
        await succeeds(build(cwd));
        const far = deploy(id, join(cwd, "dist"), "commonjs");
        await runsOnAll(far, "dist/main.cjs", "true\nacquired\n");
      });
    }

    it("as a single executable of Node runs threads, or says what is missing", async () => {
      const main = (COMMONJS["main.js"] as string).replace("__dirname", "process.execPath, '..'");
      const config = documented("sea.json").replace(/^\/\/.*\n/, "");
      const cwd = project("sea", { ...COMMONJS, "main.js": main, "sea.json": config });
      await succeeds((commonJs["esbuild"] as (cwd: string) => Promise<Ran>)(cwd));
      await succeeds(node(cwd, "--build-sea", "sea.json"));
      const far = made().sandbox.folder("far-sea");
      for (const file of ["program", "worker.cjs", "worker_entry.cjs"]) {
        cpSync(join(cwd, "dist", file), join(far, file));
      }
      const helper = join(made().folder, "node_modules", HELPER, "libnumakit.so");
      const run = (env: Readonly<Record<string, string>>): Promise<Ran> =>
        made().sandbox.run("node", [], { cwd: far, program: join(far, "program"), env });
      assert.equal(await succeeds(run({ NUMAKIT_LIBRARY: helper })), "true\nacquired\n");
      assert.match((await run({})).stderr, /NumaError: .*C helper.*NUMAKIT_LIBRARY/);
    });
  });
}
