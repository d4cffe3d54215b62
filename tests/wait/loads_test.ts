import assert from "node:assert/strict";
import { arch } from "node:process";
import { describe, it } from "node:test";
import { launch, topology } from "../../mod.ts";
import { fence, glance, loadFollowing, loadShared, storeLeading } from "../../lib/wait/loads.ts";
import { sibling } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";
import { repeats } from "../support/extent.ts";
import { countReordered, LITMUS_WORDS, type LitmusTask } from "../workers/litmus.ts";

const oneCpu: string | false = topology().effectiveCpus < 2 && "it needs two CPUs";
/** How often a test with many rounds is run. */
const TIMES = repeats(5);
/** Until the control shows what it has to. */
const MAX_TIMES = 200;

/** Runs both sides of a test. Returns its words, and what the sides returned. */
async function run(litmus: LitmusTask["litmus"]): Promise<{ words: Int32Array; found: unknown[] }> {
  const words = new Int32Array(new SharedArrayBuffer(LITMUS_WORDS * 4));
  const file = sibling(import.meta.url, "../workers/litmus");
  const threads = ([0, 1] as const).map((side) =>
    launch(file, { args: { litmus, side, words } satisfies LitmusTask })
  );
  return { words, found: await Promise.all(threads.map((thread) => thread.join())) };
}

describe("loads of shared words", () => {
  it("return what is there", () => {
    const words = new Int32Array(new SharedArrayBuffer(16));
    for (const value of [0, 7, -1, 2 ** 31 - 1, -(2 ** 31)]) {
      Atomics.store(words, 3, value);
      assert.equal(loadFollowing(words, 3), value);
      assert.equal(glance(words, 3), value);
      assert.equal(loadShared(words, 3), value);
      fence();
      assert.equal(loadFollowing(words, 3), value);
    }
  });

  it("follow a fence that is an atomic operation where they are plain", () => {
    assert.deepEqual(counting(fence).atomics, arch === "x64" ? { store: 1 } : {});
  });

  it("come with a store that is one of Atomics where it would not be ordered", () => {
    const words = new Int32Array(new SharedArrayBuffer(16));
    const { atomics } = counting(() => storeLeading(words, 3, -5));
    assert.deepEqual(atomics, arch === "x64" ? {} : { store: 1 });
    assert.equal(words[3], -5);
  });

  it("throw as Atomics does where there is no such word, or no memory any more", () => {
    const words = new Int32Array(new ArrayBuffer(16));
    for (const load of [loadShared, loadFollowing, glance]) {
      assert.throws(() => load(words, 4), RangeError);
      assert.throws(() => load(words, -1), RangeError);
    }
    structuredClone(words.buffer, { transfer: [words.buffer] });
    for (const load of [loadShared, loadFollowing, glance]) {
      // A RangeError on some engines, a TypeError on others.
      assert.throws(() => load(words, 0), Error);
    }
  });
});

describe("the order of loads", () => {
  it("a thread that stores, and then loads what the other one stores", async () => {
    for (let time = 0; time < TIMES; time++) {
      const { words } = await run("store, load");
      assert.equal(countReordered(words), 0, "neither found what the other one had stored");
    }
  });

  it("the same with a store that leads another one", async () => {
    for (let time = 0; time < TIMES; time++) {
      const { words } = await run("leading store, store, load");
      assert.equal(countReordered(words), 0, "neither found what the other one had stored");
    }
  });

  // Elsewhere than on x64 it need not happen.
  const noControl = arch === "x64" ? oneCpu : "a property of x64";
  it("the first with plain stores, which have no order", { skip: noControl }, async () => {
    for (let time = 0; time < MAX_TIMES; time++) {
      if (countReordered((await run("plain store, plain load")).words) > 0) return;
    }
    assert.fail("the test cannot tell");
  });

  it("records of several words are whole, and none is older than the one before", async () => {
    for (let time = 0; time < TIMES; time++) {
      const { found } = await run("record");
      assert.deepEqual(found, [0, 0]);
    }
  });

  it("what is read under a lock is of one writer, and none older than the one before", async () => {
    for (let time = 0; time < TIMES; time++) {
      const { found } = await run("guarded");
      assert.deepEqual(found, [0, 0]);
    }
  });

  it("what was written before a store that leads is there with it", async () => {
    const { found } = await run("handed over");
    assert.deepEqual(found, [0, 0]);
  });

  it("a loop that only looks sees what comes", async () => {
    const { found } = await run("polled");
    assert.equal(found.length, 2);
  });
});
