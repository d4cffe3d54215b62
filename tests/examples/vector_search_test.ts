import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkout, onNode20, runModule } from "../support/checkout.ts";
import { noPolicies } from "../support/policies.ts";

const skip = onNode20 && "Node 20 runs no TypeScript";
/** More than a block of the kernels, and no multiple of one. */
const VECTORS = 5003;
const QUERIES = 7;
const MOST = 10;

interface Found {
  readonly ids: readonly number[];
  readonly scores: readonly number[];
}

/** The example's own modules: imported here, as Node 20 cannot. */
const moduleOf = (file: string): string => new URL(`examples/vector-search/${file}`, checkout).href;

/** Every vector scored, and all of them sorted. */
async function plainSearch(): Promise<Found[]> {
  const { DIMENSIONS, queryVector, writeVectors } = await import(moduleOf("vectors.ts"));
  const vectors = new Float32Array(VECTORS * DIMENSIONS);
  writeVectors(vectors, 0);
  return Array.from({ length: QUERIES }, (_, query) => {
    const wanted: Float32Array = queryVector(query);
    const all = Array.from({ length: VECTORS }, (_, id) => {
      const vector = vectors.subarray(id * DIMENSIONS, (id + 1) * DIMENSIONS);
      return { id, score: vector.reduce((sum, one, index) => sum + one * wanted[index]!, 0) };
    });
    all.sort((a, b) => b.score - a.score || a.id - b.id);
    const best = all.slice(0, MOST);
    return { ids: best.map(({ id }) => id), scores: best.map(({ score }) => score) };
  });
}

function run(file: string, ...more: readonly string[]): Found[] {
  const { status, stdout, stderr } = runModule(
    new URL(`examples/vector-search/${file}`, checkout),
    {
      args: ["--json", "--vectors", `${VECTORS}`, "--queries", `${QUERIES}`, ...more],
    },
  );
  assert.equal(status, 0, stderr);
  const { found, queriesPerSecond, medianMs, memoryMiB } = JSON.parse(stdout);
  assert.ok(queriesPerSecond > 0 && medianMs > 0 && memoryMiB > 0, stdout);
  return found;
}

describe("the example of a vector search", () => {
  it("has vectors that differ", { skip }, async () => {
    const { DIMENSIONS, queryVector, writeVectors } = await import(moduleOf("vectors.ts"));
    const two = new Float32Array(2 * DIMENSIONS);
    writeVectors(two, 41);
    const one = new Float32Array(DIMENSIONS);
    writeVectors(one, 42);
    assert.deepEqual(two.subarray(DIMENSIONS), one);
    assert.notDeepEqual(two.subarray(0, DIMENSIONS), one);
    assert.notDeepEqual(queryVector(0), queryVector(1));
    assert.ok(one.every((value) => Number.isInteger(value) && value >= -8 && value < 8));
    assert.ok(new Set(one).size > 8);
  });

  const where = noPolicies === false ? [] : ["--unplaced"];
  for (
    const [name, ...args] of [
      ["one thread", "before/one_thread.ts"],
      ["threads with copies", "before/threads.ts", "--threads", "3"],
      ["WebAssembly", "main.ts", ...where],
      ["JavaScript", "main.ts", "--kernel", "js", ...where],
      ["WebAssembly, plain memory", "main.ts", "--unplaced"],
      ["JavaScript, plain memory", "main.ts", "--kernel", "js", "--unplaced"],
    ] as const
  ) {
    it(`finds what a plain search finds: ${name}`, { skip }, async () => {
      const [file, ...more] = args as [string, ...string[]];
      assert.deepEqual(run(file, ...more), await plainSearch());
    });
  }

  it("refuses options that make no sense", { skip }, () => {
    for (const args of [["--vectors", "many"], ["--most", "0"], ["--kernel", "c"]]) {
      const main = new URL("examples/vector-search/main.ts", checkout);
      const { status, stderr } = runModule(main, { args });
      assert.notEqual(status, 0);
      assert.match(stderr, new RegExp(`Cannot read ${args[0]}: "${args[1]}" is n`));
    }
  });

  it("prints what it found", { skip }, () => {
    const { status, stdout, stderr } = runModule(
      new URL("examples/vector-search/main.ts", checkout),
      {
        args: ["--vectors", "1000", "--queries", "2", "--most", "3", ...where],
      },
    );
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^\| 1 \| 3 \| \d+ \| -?\d+ \|$/m);
    assert.match(stdout, /\d+ queries a second, [\d.]+ ms each\n$/);
  });
});
