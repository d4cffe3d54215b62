import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Semaphore, setWaitStrategy, topology, type WaitStrategy } from "../../mod.ts";
import { lockWaiter, type ThreadWaiter } from "../../lib/wait/thread_waiter.ts";
import { SPIN_YIELD_PARK, SpinBudget } from "../../lib/wait/wait_strategy.ts";
import { throwsCode } from "../support/errors.ts";

/** So many rounds does a thread look before it sleeps. */
function roundsUntilSleep(me: ThreadWaiter): number {
  let round = 0;
  while (me.spin(round)) round++;
  return round;
}

const roundsOf = (strategy?: WaitStrategy): number => roundsUntilSleep(lockWaiter(strategy));

describe("setWaitStrategy", () => {
  it("says how often this thread looks before it sleeps, until it says otherwise", () => {
    const usual = roundsOf(SPIN_YIELD_PARK);
    assert.equal(setWaitStrategy({ spins: 7, yields: 3 }), undefined);
    try {
      assert.equal(roundsOf(), 10);
      assert.equal(roundsOf(SPIN_YIELD_PARK), 10);
      assert.deepEqual(setWaitStrategy({ spins: 0, yields: 0 }), { spins: 7, yields: 3 });
      assert.equal(roundsOf(SPIN_YIELD_PARK), 0);
    } finally {
      assert.deepEqual(setWaitStrategy(undefined), { spins: 0, yields: 0 });
    }
    assert.equal(setWaitStrategy(undefined), undefined);
    assert.equal(roundsOf(SPIN_YIELD_PARK), usual);
  });

  it("also of locks that are there already, while they wait", () => {
    const me = lockWaiter();
    me.spin(0);
    setWaitStrategy({ spins: 2, yields: 1 });
    try {
      assert.deepEqual([0, 1, 2, 3].map((round) => me.spin(round)), [true, true, true, false]);
    } finally {
      setWaitStrategy(undefined);
    }
  });

  it("keeps a copy", () => {
    const strategy = { spins: 4, yields: 0 };
    setWaitStrategy(strategy);
    try {
      strategy.spins = 9;
      assert.equal(roundsOf(), 4);
    } finally {
      setWaitStrategy(undefined);
    }
  });

  it("refuses what is none, and changes nothing then", () => {
    const wrong: unknown[] = [
      null,
      5,
      "spin",
      {},
      { spins: 1 },
      { yields: 1 },
      { spins: -1, yields: 0 },
      { spins: 1.5, yields: 0 },
      { spins: NaN, yields: 0 },
      { spins: 1_000_001, yields: 0 },
      { spins: 2 ** 53, yields: 0 },
      { spins: "1", yields: 0 },
      { spins: 1n, yields: 0 },
      { spins: 0, yields: 100_001 },
      { spins: 0, yields: Infinity },
    ];
    for (const strategy of wrong) {
      throwsCode(() => setWaitStrategy(strategy as WaitStrategy), "EINVAL");
    }
    assert.equal(setWaitStrategy(undefined), undefined);
  });
});

describe("how long locks look unless they are told", () => {
  const many = topology().effectiveCpus > 1;

  it("is 3 µs at most, and then, where one certain thread is waited for, 32 yields", () => {
    assert.equal(roundsOf(), many ? 100 : 0);
    assert.equal(roundsOf(SPIN_YIELD_PARK), (many ? 100 : 0) + 32);
  });

  it("comes to twice what was enough lately, and to all of it where that is not", () => {
    const budget = new SpinBudget({ spins: 100, yields: 32 });
    const after = (waits: number, rounds: number): number => {
      for (let wait = 0; wait < waits; wait++) budget.begin(rounds);
      assert.equal(budget.rounds, budget.spins + 32);
      return budget.spins;
    };
    assert.equal(after(1, 50), 100);
    assert.equal(after(100, 20), 50);
    assert.equal(after(100, 0), 10);
    // In vain, whatever it was: also those that yielded.
    assert.equal(after(100, 132), 100);
    assert.equal(new SpinBudget({ spins: 0, yields: 0 }).rounds, 0);
  });

  it("has no yields where the C helper is missing", () => {
    const budget = new SpinBudget({ spins: 0, yields: 32 }, false);
    assert.equal(budget.rounds, 0);
    setWaitStrategy({ spins: 1, yields: 1 });
    try {
      budget.begin(0);
      assert.deepEqual([budget.spins, budget.rounds], [1, 1]);
    } finally {
      setWaitStrategy(undefined);
    }
  });

  it("is known of each lock for itself", () => {
    const [brief, other] = [lockWaiter(), lockWaiter()];
    for (let wait = 0; wait < 100; wait++) brief.spin(0);
    assert.deepEqual([brief, other].map(roundsUntilSleep), many ? [10, 100] : [0, 0]);
  });
});

describe("the main thread", () => {
  it("looks for a moment and is then told that it would block, whatever the strategy", () => {
    for (const strategy of [{ spins: 0, yields: 0 }, { spins: 1000, yields: 100 }]) {
      setWaitStrategy(strategy);
      try {
        const semaphore = Semaphore.create(new SharedArrayBuffer(Semaphore.bytes()), 0);
        throwsCode(() => semaphore.acquire(), "EWOULDBLOCK");
        throwsCode(() => semaphore.acquire(1, { block: true, timeoutMs: 1 }), "ETIMEDOUT");
      } finally {
        setWaitStrategy(undefined);
      }
    }
  });
});
