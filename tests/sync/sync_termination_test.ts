import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Arena,
  Barrier,
  CnaLock,
  CohortLock,
  Condition,
  EventCount,
  Latch,
  launch,
  type Lock,
  McsLock,
  Mutex,
  Once,
  Replicated,
  RwLock,
  RwSpinLock,
  Semaphore,
  SharedMutex,
  TicketLock,
  type WaitStrategy,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import type { WaitFor, WaitingTask } from "../workers/waiting.ts";

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
const held = (lock: Lock): WaitFor => {
  lock.acquire();
  return { lock };
};

/** What a thread can wait for, which this one never lets happen. */
const WAITS: Readonly<Record<string, () => WaitFor>> = {
  "a Mutex": () => held(Mutex.create(shared(Mutex.bytes()))),
  "a McsLock": () => held(McsLock.create(shared(McsLock.bytes()))),
  "a TicketLock": () => held(TicketLock.create(shared(TicketLock.bytes()))),
  "a CnaLock": () => held(CnaLock.create(shared(CnaLock.bytes()))),
  "a CohortLock": () => held(CohortLock.create(shared(CohortLock.bytes()))),
  "a RwLock to read": () => {
    const lock = RwLock.create(shared(RwLock.bytes()));
    lock.write.acquire();
    return { lock: lock.read };
  },
  "a RwLock to write": () => {
    const lock = RwLock.create(shared(RwLock.bytes()));
    lock.read.acquire();
    return { lock: lock.write };
  },
  "a RwSpinLock to read": () => {
    const lock = RwSpinLock.create(shared(RwSpinLock.bytes()));
    lock.write.acquire();
    return { lock: lock.read };
  },
  "a RwSpinLock to write": () => {
    const lock = RwSpinLock.create(shared(RwSpinLock.bytes()));
    lock.read.acquire();
    return { lock: lock.write };
  },
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

/** On a busy machine any of them may take longer, but not all. */
const ATTEMPTS = 5;
const MOST_MS = 50;

/** How long a thread that waits takes to be gone, in milliseconds. */
async function terminateOne(wait: WaitFor, strategy?: WaitStrategy): Promise<number> {
  const words = new Int32Array(shared(4));
  const args: WaitingTask = { wait, words, strategy };
  const thread = launch(sibling(import.meta.url, "../workers/waiting"), { args });
  thread.join().catch(() => undefined);
  while (Atomics.load(words, 0) === 0) await sleep(1);
  await sleep(5);
  const start = performance.now();
  assert.equal(await thread.terminate(), true);
  return performance.now() - start;
}

async function check(wait: WaitFor, strategy?: WaitStrategy): Promise<void> {
  const took: number[] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ms = await terminateOne(wait, strategy);
    if (ms < MOST_MS) return;
    took.push(ms);
  }
  assert.fail(`gone after ${took.map((ms) => ms.toFixed(0)).join(", ")} ms`);
}

describe(`a thread is gone within ${MOST_MS} ms of its termination`, () => {
  for (const [name, make] of Object.entries(WAITS)) {
    it(`while it waits for ${name}`, async () => await check(make()));
  }

  it("while it spins or yields for as long as one can say", async () => {
    await check(WAITS["a Mutex"]?.() as WaitFor, { spins: 1_000_000, yields: 0 });
    await check(WAITS["a McsLock"]?.() as WaitFor, { spins: 0, yields: 100_000 });
  });

  it("while it waits to update a Replicated", async () => {
    using replicated = Replicated.create({ size: 64 });
    using _reader = replicated.local();
    replicated.update(new Uint8Array(64));
    await check({ replicated });
    assert.equal(replicated.version, 1);
  });

  it("while it waits for a SharedMutex", async () => {
    using arena = Arena.create({ node: 0, size: "64 KiB", name: `termination-${process.pid}` });
    const lock = SharedMutex.create(arena);
    lock.acquire();
    await check({ lock });
    lock.release();
  });
});
