/**
 * Two copies of numakit in one process: the one in node_modules, and one in a bundle.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import type { Made } from "./bundlers.ts";
import { runArguments } from "./consumers.ts";
import { told } from "./sandbox.ts";

const WORKER = `import { worker } from "numakit";
export default worker(({ lock, words, arena }) => {
  for (let turn = 0; turn < 1000; turn++) {
    lock.acquire();
    words[0]++;
    lock.release();
  }
  return arena.used;
});
`;

const MAIN = `import * as one from "numakit";
import * as two from "./dist/all.js";

const workers = new Map([[one, "./worker.js"], [two, "./dist/worker.js"]]);

async function uses(copy) {
  const arena = copy.Arena.create({ node: copy.topology().nodes[0].id, size: "1 MiB" });
  const lock = copy.Mutex.create(arena);
  const words = new Int32Array(new SharedArrayBuffer(4));
  const url = new URL(workers.get(copy), import.meta.url);
  const threads = [1, 2].map(() => copy.launch(url, { args: { lock, words, arena } }));
  for (let turn = 0; turn < 500; turn++) {
    const guard = await lock.acquireAsync();
    words[0]++;
    guard.release();
  }
  const used = await Promise.all(threads.map((thread) => thread.join()));
  const same = used.every((bytes) => bytes === arena.used);
  arena.destroy();
  return [words[0], same].join();
}

function told(use) {
  try {
    return use();
  } catch (error) {
    return [error.name, error.code, error.message].join(" ");
  }
}

const say = (name, value) => console.log(name + ": " + value);
say("copies", one.Arena === two.Arena ? 1 : 2);
say("side by side", (await Promise.all([uses(one), uses(two)])).join(" "));

const lock = one.Mutex.create(new SharedArrayBuffer(one.Mutex.bytes()));
const other = two.Mutex.fromHandle(lock.toHandle());
lock.acquire();
say("a thread is one to both", told(() => other.acquire()));
const waits = other.acquireAsync({ timeoutMs: 60_000 });
const began = performance.now();
lock.release();
(await waits).release();
say("each wakes the other", performance.now() - began < 10_000);

const arena = one.Arena.create({ node: 0, size: "1 MiB", name: "two-copies" });
const data = arena.allocInt32(4).fill(7);
say("reported", two.memoryReport().arenas.some(({ label }) => label === "two-copies"));
say("arena", told(() => two.Arena.fromHandle(arena.toHandle())));
say("named", told(() => two.Arena.open("two-copies")));
say("unharmed", data.join());
arena.destroy();
`;

const OUTPUT = new RegExp(
  [
    "copies: 2",
    "side by side: 2500,true 2500,true",
    "a thread is one to both: NumaError EDEADLK .*",
    "each wakes the other: true",
    "reported: true",
    "arena: NumaError EINVAL .*another copy of numakit \\([\\d.]+\\) in this thread.*",
    "named: NumaError EINVAL .*another copy of numakit \\([\\d.]+\\) in this thread.*",
    "unharmed: 7,7,7,7",
  ].reduce((all, line) => `${all}${line}\n`, "^") + "$",
);

/**
 * Defines the tests.
 *
 * @param made What was made before them; called when they run.
 */
export function testTwoCopies(made: () => Made): void {
  describe("two copies of the package in a process", () => {
    let folder: string | undefined;

    async function project(): Promise<string> {
      if (folder !== undefined) return folder;
      const { sandbox, folder: parent } = made();
      folder = join(parent, "two-copies");
      mkdirSync(folder);
      const files = {
        "package.json": '{ "type": "module" }',
        "all.js": 'export * from "numakit";\n',
        "worker_entry.js": 'import "numakit/worker_entry";\n',
        "worker.js": WORKER,
        "main.js": MAIN,
      };
      for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
      const flags = ["--bundle", "--splitting", "--platform=node", "--format=esm"];
      const entries = ["all.js", "worker_entry.js", "worker.js"];
      const ran = await sandbox.run("node", [...entries, ...flags, "--outdir=dist"], {
        cwd: folder,
        program: checkoutFile("node_modules/.bin/esbuild"),
      });
      assert.equal(ran.status, 0, told(ran));
      return folder;
    }

    for (const tool of ["node20", "node", "bun", "deno"] as const) {
      it(`use locks, arenas and threads side by side on ${tool}, and refuse what would harm`, async () => {
        const cwd = await project();
        const ran = await made().sandbox.run(tool, runArguments(tool, "main.js"), { cwd });
        assert.equal(ran.status, 0, told(ran));
        assert.match(ran.stdout, OUTPUT, told(ran));
      });
    }
  });
}
