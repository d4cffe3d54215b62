import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Arena,
  Barrier,
  Condition,
  EventCount,
  Latch,
  launch,
  McsLock,
  Mutex,
  Once,
  Replicated,
  Semaphore,
  type WaitStrategy,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { type AnyLock, type LockSide, sideFor, SIDES } from "../support/locks.ts";
import type { WaitFor, WaitingTask } from "../workers/waiting.ts";

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
/** A lock that this thread holds, by the other side where it has one. */
function held({ make }: LockSide<AnyLock>, memory?: Arena): WaitFor {
  const { lock, other } = make(memory);
  other.acquire();
  return { lock };
}

/** What a thread can wait for besides a lock, which this one never lets happen. */
const WAITS: Readonly<Record<string, () => WaitFor>> = {
  "a Semaphore": () => ({ semaphore: Semaphore.create(shared(Semaphore.bytes()), 0) }),
  "a Barrier": () => ({ barrier: Barrier.create(shared(Barrier.bytes()), 2) }),
  "a Latch": () => ({ latch: Latch.create(shared(Latch.bytes()), 1) }),
  "a Once": () => {
    const once = Once.create(shared(Once.bytes()));
    once.runAsync(() => new Promise(() => {})).catch(() => undefined);
    return { once };
  },
  "an EventCount": () => ({ events: EventCount.create(shared(EventCount.bytes())) }),
  "a Condition": () => ({
    condition: Condition.create(shared(Condition.bytes())),
    mutex: Mutex.create(shared(Mutex.bytes())),
  }),
};

/** On a busy machine any of them may take longer, but not all. Threads of tests/workers/waiting.ts do not wake by themselves in time. */
const ATTEMPTS = 5;
const MAX_MS = 50;
/** A thread that waits may take so many times as long as one that does nothing, on a machine where that takes long. */
const MAX_TIMES = 3;

/** How long a thread that waits, or does nothing, takes to be gone, in milliseconds. */
async function terminateOne(wait?: WaitFor, strategy?: WaitStrategy): Promise<number> {
  const words = new Int32Array(shared(4));
  const args: WaitingTask = { wait, words, strategy };
  const thread = launch(sibling(import.meta.url, "../workers/waiting"), { args });
  let failure: unknown;
  thread.join().catch((error: unknown) => failure = error);
  while (Atomics.load(words, 0) === 0) {
    if (failure !== undefined) throw failure;
    await sleep(1);
  }
  await sleep(5);
  const start = performance.now();
  assert.equal(await thread.terminate(), true);
  return performance.now() - start;
}

/** Each thread waits for something of its own: what one leaves behind, such as a mutex held, is not for the next. */
async function check(make: () => WaitFor, strategy?: WaitStrategy): Promise<void> {
  const took: number[] = [];
  let idle = 0;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ms = await terminateOne(make(), strategy);
    if (ms < MAX_MS) return;
    idle = await terminateOne();
    if (ms < idle * MAX_TIMES) return;
    took.push(ms);
  }
  const told = took.map((ms) => ms.toFixed(0)).join(", ");
  assert.fail(`gone after ${told} ms, and one that does nothing after ${idle.toFixed(0)}`);
}

describe(`a thread is gone within ${MAX_MS} ms of its termination, or as soon as an idle one`, () => {
  for (const side of SIDES) {
    it(`while it waits for a ${side.name}`, async () => {
      const name = `termination-${process.pid}`;
      using arena = side.needsName ? Arena.create({ node: 0, size: "64 KiB", name }) : undefined;
      await check(() => held(side, arena));
    });
  }

  for (const [name, make] of Object.entries(WAITS)) {
    it(`while it waits for ${name}`, async () => await check(make));
  }

  it("while it spins or yields for as long as one can say", async () => {
    await check(() => held(sideFor(Mutex)), { spins: 1_000_000, yields: 0 });
    await check(() => held(sideFor(McsLock)), { spins: 0, yields: 100_000 });
  });

  it("while it waits to update a Replicated", async () => {
    using replicated = Replicated.create({ size: 64 });
    using _reader = replicated.local();
    replicated.update(new Uint8Array(64));
    await check(() => ({ replicated }));
    assert.equal(replicated.version, 1);
  });
});
