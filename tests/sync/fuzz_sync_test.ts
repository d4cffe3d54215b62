import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, NumaError, RwLock, type Thread } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { random } from "../support/fuzz.ts";
import { fuzzFunction, fuzzKind, uncovered } from "../support/fuzz_sync_calls.ts";
import { SYNC_FUNCTIONS, SYNC_KINDS } from "../support/fuzz_sync_kinds.ts";
import { inspect } from "../support/fuzz_sync_inspect.ts";
import { makePool, TALLY, tallyAt } from "../support/fuzz_sync_pool.ts";
import { runSyncProgram } from "../support/fuzz_sync_program.ts";
import type { InspectTask, SyncFuzzTask } from "../support/fuzz_sync_worker.ts";

/** Programs on the main thread; rounds of threads that all end well, and of threads that are terminated. */
const ALONE = 30;
const ROUNDS = 3;
const THREADS = 4;
const EACH = 12;
const CALLS = 60;
/** Runs so many times as much, or another sequence of programs. */
const TIMES = Number(process.env["NUMAKIT_FUZZ_TIMES"] ?? 1);
const SEED = Number(process.env["NUMAKIT_FUZZ_SEED"] ?? 1) * 1_000_000;
/** The class of the only lock in the programs. */
const LOCK = process.env["NUMAKIT_FUZZ_LOCK"];
/** Threads that make no call for so long hang: programs take a second or two. */
const HANG_MS = 60_000;

const module = sibling(import.meta.url, "../support/fuzz_sync_worker");

describe("every call of lib/sync with wrong arguments", () => {
  it("has a row for its class and its method, or for its function, in support/fuzz_sync_kinds.ts", () => {
    assert.deepEqual(uncovered(), []);
  });

  for (const title of Object.keys(SYNC_KINDS)) {
    it(`fails with nothing but NumaError and breaks nothing: ${title}`, async () => {
      const { calls, lines } = await fuzzKind(title);
      assert.deepEqual(lines, []);
      assert.ok(calls > 0, "nothing was called");
    });
  }

  for (const name of Object.keys(SYNC_FUNCTIONS)) {
    it(`fails with nothing but NumaError and breaks nothing: ${name}`, async () => {
      const { calls, lines } = await fuzzFunction(name);
      assert.deepEqual(lines, []);
      assert.ok(calls > 0, "nothing was called");
    });
  }
});

/** What a thread ended with: undefined, or an error. `progress` changes while there is some. */
async function ended(
  thread: Thread<string[]>,
  told: string,
  progress: () => number,
): Promise<unknown> {
  let timer: ReturnType<typeof setInterval> | undefined;
  const hang = new Promise<unknown>((resolve) => {
    let seen = progress();
    let since = performance.now();
    timer = setInterval(() => {
      const now = progress();
      if (now !== seen) [seen, since] = [now, performance.now()];
      else if (performance.now() - since > HANG_MS) resolve(new Error(`${told} hangs`));
    }, 1000);
  });
  const error = await Promise.race([thread.join().then(() => undefined, (error) => error), hang]);
  clearInterval(timer);
  if (error instanceof Error && error.message.endsWith("hangs")) await thread.terminate();
  return error;
}

/** Threads that run programs on the same objects, and what is left after them. */
async function runRound(from: number, deadly: boolean): Promise<void> {
  const pool = makePool(LOCK);
  const next = random(from);
  const tally = (word: keyof typeof TALLY) => Atomics.load(pool.words, tallyAt(pool) + TALLY[word]);
  const progress = () => tally("begun") + tally("calls");
  const threads = Array.from({ length: THREADS }, (_, index) => {
    const dies = deadly && index > 1;
    const args: SyncFuzzTask = {
      ...{ task: "run", pool, from: from + index * EACH, programs: EACH, calls: CALLS },
      ...{ thread: index + 1, abandons: deadly && index === 0, dies },
    };
    const least = Math.floor(next() * THREADS * EACH * CALLS);
    return { thread: launch<string[]>(module, { args }), dies, least };
  });
  const outcomes = threads.map(({ thread }, index) =>
    ended(thread, `thread ${index + 1} of the round from ${from}`, progress)
  );
  const over = Promise.all(outcomes).then(() => true);
  // Somebody has to keep the arena until all of them have it.
  while (tally("begun") < THREADS && !await Promise.race([over, sleep(1)]));
  pool.doomed.arena.destroy();
  await Promise.all(
    threads.filter(({ dies }) => dies).map(async ({ thread, least }) => {
      while (thread.state !== "ended" && tally("calls") < least) await sleep(0);
      await thread.terminate();
    }),
  );
  // All of them: one that fails dies, and others may notice that first.
  const failed = (await Promise.all(outcomes)).filter((error, index) =>
    error !== undefined && !(threads[index]?.dies === true && error instanceof NumaError)
  );
  assert.deepEqual(failed.map(String), [], `round from ${from}`);
  // Somebody who was not there before.
  const { doomed: _, ...kept } = pool;
  const args: InspectTask = { task: "inspect", pool: kept, hasDead: deadly };
  const inspector = launch<string[]>(module, { args });
  const slow = await ended(inspector, `the inspection of the round from ${from}`, progress);
  if (slow !== undefined) throw slow;
  assert.deepEqual(await inspector.join(), [], `round from ${from}`);
}

describe(`random programs of calls of lib/sync${LOCK === undefined ? "" : `, ${LOCK} alone`}`, () => {
  it(`fail with nothing but NumaError, and add up: ${ALONE} alone`, async () => {
    const pool = makePool(LOCK);
    for (let seed = SEED; seed < SEED + ALONE * TIMES; seed++) {
      await runSyncProgram(pool, { seed, thread: 1, calls: CALLS, abandons: false });
    }
    assert.deepEqual(await inspect(pool, false), []);
  });

  // A test each: on Bun one may take five seconds.
  for (let round = 0; round < ROUNDS * TIMES; round++) {
    const name = `round ${round + 1} of ${THREADS} threads`;
    it(`do so in threads that share: ${name}`, async () => {
      await runRound(SEED + 10_000 + round * 100, false);
    });

    it(`harm nobody when threads are terminated: ${name}`, async () => {
      await runRound(SEED + 500_000 + round * 100, true);
    });
  }
});

describe("a reader that asks to write while another thread waits for that", () => {
  it("is refused, and reads still", async () => {
    const lock = RwLock.create(new SharedArrayBuffer(RwLock.bytes()));
    lock.read.acquire();
    const writing = lock.write.acquireAsync({ timeoutMs: 1000 });
    throwsCode(() => lock.write.acquire(), "EDEADLK");
    lock.read.release();
    (await writing).release();
  });
});
