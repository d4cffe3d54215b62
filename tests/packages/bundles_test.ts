/**
 * numakit in bundles and compiled programs, as docs/packages.md tells how.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { install, runArguments, writeProject } from "./consumers.ts";
import { type Made, testBundlers } from "./bundlers.ts";
import { told, type Tool } from "./sandbox.ts";
import { type Contract, setUp } from "./setup.ts";
import { testTwoCopies } from "./two_copies.ts";

const RUNTIMES: readonly Tool[] = ["node20", "node22", "node24", "node", "bun", "deno"];
const HELPER = `@numakit/linux-${process.arch}-gnu/libnumakit.so`;

/** Why `deno compile` cannot be tried: it downloads the runtime that it puts into programs. */
function compileRefusal(): string | false {
  const folder = mkdtempSync(join(tmpdir(), "numakit-compile-"));
  try {
    writeFileSync(join(folder, "empty.js"), "");
    const { status } = spawnSync(
      checkoutFile(".tools/bin/deno"),
      ["compile", "--quiet", "--no-config", "--output", "empty", "empty.js"],
      { cwd: folder },
    );
    return status !== 0 && "Deno's runtime for compiled programs cannot be downloaded here";
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

let contract: Contract;
let folder: string;

/** Runs a step that has to succeed. */
async function step(tool: Tool, args: readonly string[], program?: string): Promise<string> {
  const options = program === undefined ? { cwd: folder } : { cwd: folder, program };
  const ran = await contract.sandbox.run(tool, args, options);
  assert.equal(ran.status, 0, told(ran));
  return ran.stdout;
}

before(async () => {
  contract = await setUp();
  folder = contract.sandbox.folder("bundles");
  await writeProject(folder);
  const ran = await install(contract.sandbox, "npm", folder);
  assert.equal(ran.status, 0, told(ran));
  // In a bundle every module ends in .js.
  const main = readFileSync(join(folder, "main.ts"), "utf8");
  writeFileSync(join(folder, "main.ts"), main.replace("./worker.ts", "./worker.js"));
  writeFileSync(join(folder, "worker_entry.ts"), 'import "numakit/worker_entry";\n');
  for (const file of ["main.js", "worker.js"]) rmSync(join(folder, file));
});
after(() => contract.close());

describe("a bundle made with esbuild", () => {
  const flags = ["--bundle", "--splitting", "--platform=node", "--format=esm", "--target=node20"];
  const bundle = (entries: readonly string[], out: string): Promise<string> =>
    step(
      "node",
      [...entries, ...flags, `--outdir=${out}`],
      checkoutFile("node_modules/.bin/esbuild"),
    );

  for (const tool of RUNTIMES) {
    it(`runs the quick start with its worker on ${tool}`, async () => {
      await bundle(["main.ts", "worker.ts", "worker_entry.ts"], "dist");
      assert.match(await step(tool, runArguments(tool, "dist/main.js")), /\n1024\n$/);
    });
  }

  for (const tool of RUNTIMES) {
    it(`runs tasks of a pool on ${tool}`, async () => {
      writeFileSync(
        join(folder, "tasks.ts"),
        "export const add = (a: number, b: number): number => a + b;\n",
      );
      writeFileSync(
        join(folder, "pool_main.ts"),
        `import { TaskPool } from "numakit";
const url = new URL("./tasks.js", import.meta.url);
const pool = await TaskPool.create<typeof import("./tasks.ts")>(url, { threads: 2 });
console.log(await pool.run("add", [1, 2]), pool.runSync("add", [3, 4]));
await pool.close();
`,
      );
      await bundle(["pool_main.ts", "tasks.ts", "worker_entry.ts"], "pool");
      assert.match(await step(tool, runArguments(tool, "pool/pool_main.js")), /^3 7$/m);
    });

    it(`runs tasks of a CommonJS module for a CommonJS program on ${tool}`, async () => {
      writeFileSync(join(folder, "tasks.cjs"), "exports.add = (a, b) => a + b;\n");
      writeFileSync(
        join(folder, "pool_main.cjs"),
        `const { pathToFileURL } = require("node:url");
async function main() {
  const { TaskPool } = await import("numakit");
  const url = pathToFileURL(require.resolve("./tasks.cjs"));
  const pool = await TaskPool.create(url, { threads: 2 });
  console.log(await pool.run("add", [1, 2]));
  await pool.close();
}
main();
`,
      );
      assert.match(await step(tool, runArguments(tool, "pool_main.cjs")), /^3$/m);
    });
  }

  it("says what is missing when worker_entry was left out", async () => {
    await bundle(["main.ts", "worker.ts"], "without");
    const ran = await contract.sandbox.run("node", ["without/main.js"], { cwd: folder });
    const places = ["without/", ""].map((place) => `bundles/${place}worker_entry\\.js`);
    const text = `NumaError: .*in a bundle.*${
      places.join(".*")
    }.*entry point.*NUMAKIT_WORKER_ENTRY`;
    assert.match(ran.stderr, new RegExp(text));
    assert.match(ran.stdout, /node 0/, "the rest works");
  });
});

const made = (): Made => ({ sandbox: contract.sandbox, folder });
testBundlers(made);
testTwoCopies(made);

/** What a program with one import comes to, in bytes, minified. */
const MAX_BYTES: Readonly<Record<string, number>> = {
  CpuSet: 15_000,
  topology: 40_000,
  // An arena knows of other copies of numakit in its thread, and bundles find what they need wherever they are.
  Arena: 65_000,
  Mutex: 76_000,
  struct: 32_000,
  // Threads have policies, also as text, and can be moved with their buffers.
  launch: 86_000,
  TaskPool: 144_000,
};

describe("a bundle of what a program uses", () => {
  const write = (name: string): void =>
    writeFileSync(join(folder, "one.ts"), `import { ${name} } from "numakit";\nkeep(${name});\n`);

  for (const [name, bytes] of Object.entries(MAX_BYTES)) {
    it(`has ${bytes / 1000} kB at most for ${name}, made with esbuild`, async () => {
      write(name);
      await step(
        "node",
        ["one.ts", "--bundle", "--minify", "--platform=node", "--format=esm", "--outfile=one.js"],
        checkoutFile("node_modules/.bin/esbuild"),
      );
      const { size } = statSync(join(folder, "one.js"));
      assert.ok(size > 1000 && size <= bytes, `${size} bytes`);
    });

    it(`has ${bytes / 1000} kB at most for ${name}, made with bun build`, async () => {
      write(name);
      const flags = ["--minify", "--target=node", "--external=koffi", "--outfile=one.js"];
      await step("bun", ["build", "one.ts", ...flags]);
      const { size } = statSync(join(folder, "one.js"));
      assert.ok(size > 1000 && size <= bytes, `${size} bytes`);
    });
  }

  it("brings objects to life in a thread that only names their types", async () => {
    writeFileSync(
      join(folder, "typed.ts"),
      `import { type Mutex, worker } from "numakit";
export default worker(({ lock }: { lock: Mutex }) => {
  lock.acquire();
  lock.release();
  return "acquired";
});
`,
    );
    writeFileSync(
      join(folder, "typed_main.ts"),
      `import { launch, Mutex } from "numakit";
const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
const url = new URL("./typed.js", import.meta.url);
console.log(await launch(url, { args: { lock } }).join());
`,
    );
    await step(
      "node",
      [
        ...["typed_main.ts", "typed.ts", "worker_entry.ts", "--bundle", "--splitting", "--minify"],
        ...["--platform=node", "--format=esm", "--target=node20", "--outdir=typed"],
      ],
      checkoutFile("node_modules/.bin/esbuild"),
    );
    for (const tool of RUNTIMES) {
      const out = await step(tool, runArguments(tool, "typed/typed_main.js"));
      assert.match(out, /acquired\n$/, tool);
    }
  });
});

describe("a program compiled by bun build --compile", () => {
  const compile = (main: string, out: string): Promise<string> =>
    step("bun", [
      ...["build", "--compile", "--splitting", "--outfile", out],
      ...[main, "worker.ts", "worker_entry.ts"],
    ]);

  it("runs the quick start with the C helper that NUMAKIT_LIBRARY names", async () => {
    await compile("main.ts", "program");
    const cwd = contract.sandbox.folder("far");
    for (const [from, to] of [["program", "program"], [`node_modules/${HELPER}`, "helper.so"]]) {
      copyFileSync(join(folder, from as string), join(cwd, to as string));
    }
    const program = join(cwd, "program");
    const env = { NUMAKIT_LIBRARY: join(cwd, "helper.so") };
    const ran = await contract.sandbox.run("bun", [], { cwd, program, env });
    assert.match(ran.stdout, /\n1024\n$/, told(ran));
    const without = await contract.sandbox.run("bun", [], { cwd, program });
    assert.match(without.stderr, /NumaError: .*C helper.*NUMAKIT_LIBRARY/, told(without));
  });

  it("runs the quick start with the C helper inside", async () => {
    writeFileSync(
      join(folder, "embedded.ts"),
      `import helper from "${HELPER}" with { type: "file" };
process.env["NUMAKIT_LIBRARY"] ??= helper;
await import("./main.ts");
`,
    );
    await compile("embedded.ts", "embedded");
    const cwd = contract.sandbox.folder("alone");
    copyFileSync(join(folder, "embedded"), join(cwd, "embedded"));
    const ran = await contract.sandbox.run("bun", [], { cwd, program: join(cwd, "embedded") });
    assert.match(ran.stdout, /\n1024\n$/, told(ran));
  });
});

describe("a program compiled by deno compile", () => {
  it("runs the quick start", { skip: compileRefusal() }, async () => {
    const main = readFileSync(join(folder, "main.ts"), "utf8");
    writeFileSync(join(folder, "deno_main.ts"), main.replace("./worker.js", "./worker.ts"));
    const flags = ["--quiet", "--allow-all", "--include", "worker.ts", "--output", "program_deno"];
    await step("deno", ["compile", ...flags, "deno_main.ts"]);
    const cwd = contract.sandbox.folder("deno-alone");
    copyFileSync(join(folder, "program_deno"), join(cwd, "program"));
    const ran = await contract.sandbox.run("deno", [], { cwd, program: join(cwd, "program") });
    assert.match(ran.stdout, /\n1024\n$/, told(ran));
  });
});
