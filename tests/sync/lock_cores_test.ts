import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import { MutexCore, PATIENCE_MS } from "../../lib/sync/locks/mutex_core.ts";
import { TicketCore } from "../../lib/sync/locks/ticket_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { counting } from "../support/counting.ts";
import { coreName, type LockRow, LOCKS } from "../support/locks.ts";
import { traffic } from "../support/traffic.ts";
import { acquire, FakeProcess, type FakeWait, type FakeWaiter } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

// The algorithms over plain words. Threads are objects here, and go on when the test says so.

const SHAPE: Shape = { threads: 8, domains: 2 };

/** What one thread holds at a time. */
function coreOf({ core }: LockRow, shape: Shape, option?: number): LockCore {
  const made = core.make(shape, option);
  return "write" in made ? made.write : made;
}

const isBroken = (core: LockCore): boolean => core.broken?.() ?? false;

/** Who of some got the lock, after it was released. */
function winner(waits: readonly (FakeWait<boolean> | undefined)[]): number {
  for (const wait of waits) wait?.run();
  return waits.findIndex((wait) => wait?.result === true);
}

/** What all of them do. */
function testCore(row: LockRow): void {
  const { atomics, robust } = row;

  it("is held by one at a time, who alone can release it", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const [first, second] = [process.thread(0), process.thread(1, 1)];
    for (let round = 0; round < 3; round++) {
      assert.equal(core.holds(first), false);
      assert.equal(core.release(first), false);
      assert.equal(core.tryAcquire(first), true);
      assert.equal(core.holds(first), true);
      assert.equal(core.holds(second), false);
      assert.equal(core.tryAcquire(second), false);
      assert.equal(core.tryAcquire(first), false);
      assert.equal(core.release(second), false);
      assert.equal(core.holds(first), true);
      assert.equal(core.release(first), true);
      assert.equal(core.release(first), false);
      assert.equal(core.begin(second), true);
      assert.equal(core.release(second), true);
    }
    assert.equal(process.wakes, 0, "nobody slept");
    assert.equal(isBroken(core), false);
  });

  it(`takes ${JSON.stringify(atomics)} uncontended`, () => {
    const core = coreOf(row, SHAPE);
    const me = new FakeProcess().thread(3, 1);
    const counted = counting(() => {
      core.begin(me);
      core.release(me);
    });
    assert.deepEqual(counted, { atomics: atomics, helper: {} });
    const tried = counting(() => {
      core.tryAcquire(me);
      core.release(me);
    });
    const sum = (counts: Record<string, number>): number =>
      Object.values(counts).reduce((total, count) => total + count, 0);
    // A writer that only tries looks at a reader's line once more.
    const more = atomics["load"] ?? 0;
    assert.equal(sum(tried.atomics), sum(atomics) + more);
  });

  it("leaves nothing behind when a wait is given up", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const all = Array.from({ length: 3 }, (_, slot) => process.thread(slot, slot & 1));
    const [owner, leaver, other] = all as [FakeWaiter, FakeWaiter, FakeWaiter];
    assert.equal(core.begin(owner), true);
    for (let round = 0; round < 3; round++) {
      const wait = acquire(core, leaver);
      assert.equal(wait?.asleep, true);
      wait.step(true);
      assert.equal(wait.result, false);
      assert.equal(core.holds(leaver), false);
      assert.equal(core.release(leaver), false);
      assert.equal(core.tryAcquire(leaver), false);
    }
    assert.equal(core.release(owner), true);
    for (const me of [other, leaver, owner]) {
      assert.equal(core.tryAcquire(me), true);
      assert.equal(core.release(me), true);
    }
    assert.equal(isBroken(core), false);
  });

  it("is found by who waits, and by who comes later, when its owner dies", () => {
    for (const isWaiting of [true, false]) {
      const process = new FakeProcess();
      const core = coreOf(row, SHAPE);
      const [owner, me] = [process.thread(0), process.thread(1, 1)];
      core.begin(owner);
      const early = isWaiting ? acquire(core, me) : undefined;
      process.kill(owner);
      const wait = isWaiting ? early : acquire(core, me);
      for (let round = 0; round < 3; round++) wait?.step();
      assert.equal(wait === undefined || wait.result === true, robust);
      assert.equal(core.holds(me), robust);
      assert.equal(isBroken(core), !robust);
      assert.equal(core.ownerDied?.() ?? false, robust);
    }
  });
}

/** What those do in which threads stand in line. */
function testQueue(row: LockRow): void {
  it("spins for as long as its thread says, and then sleeps for 20 ms at most", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const [owner, me] = [process.thread(0), process.thread(1)];
    core.begin(owner);
    me.spins = 10;
    assert.equal(core.begin(me), false);
    assert.equal(me.pauses, 11);
    const other = process.thread(2);
    const wait = acquire(core, other);
    assert.equal(wait?.sleepMs, 20);
    wait.step();
    assert.equal(wait.sleepMs, 20, "it wakes up for nothing, and sleeps again");
  });

  it("wakes only who gets it, and only if that one sleeps", () => {
    const process = new FakeProcess();
    const core = coreOf(row, { threads: 8, domains: 1 });
    const all = Array.from({ length: 5 }, (_, slot) => process.thread(slot));
    const [owner, awake] = all as [FakeWaiter, FakeWaiter];
    core.begin(owner);
    assert.equal(core.begin(awake), false);
    const waits = all.slice(2).map((me) => acquire(core, me));
    core.release(owner);
    assert.equal(process.wakes, 0);
    const wait = core.wait(awake);
    assert.deepEqual(wait.next(false), { done: true, value: true });
    for (const [index, me] of [awake, ...all.slice(2)].entries()) {
      assert.equal(core.holds(me), true);
      core.release(me);
      assert.equal(process.wakes, Math.min(index + 1, 3));
      waits[index]?.run();
      assert.equal(waits[index]?.result, index < 3 ? true : undefined);
    }
  });

  it("skips who gave up, who can come back at any time", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const all = Array.from({ length: 4 }, (_, slot) => process.thread(slot));
    const [owner, leaver, next, last] = all as [FakeWaiter, FakeWaiter, FakeWaiter, FakeWaiter];
    core.begin(owner);
    const waits = [leaver, next].map((me) => acquire(core, me));
    waits[0]?.step(true);
    assert.equal(waits[0]?.result, false);
    assert.equal(core.holds(leaver), false);
    assert.equal(core.release(leaver), false);
    assert.equal(core.tryAcquire(leaver), false);
    core.release(owner);
    assert.equal(winner([waits[1]]), 0);
    const again = acquire(core, leaver);
    const third = acquire(core, last);
    core.release(next);
    assert.equal(winner([again, third]), 0);
    third?.step(true);
    core.release(leaver);
    assert.equal(core.tryAcquire(last), true);
    core.release(last);
  });

  it("gives its old place to who comes back in time", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const all = Array.from({ length: 3 }, (_, slot) => process.thread(slot));
    const [owner, leaver, other] = all as [FakeWaiter, FakeWaiter, FakeWaiter];
    core.begin(owner);
    acquire(core, leaver)?.step(true);
    const behind = acquire(core, other);
    const again = acquire(core, leaver);
    core.release(owner);
    assert.equal(winner([again, behind]), 0);
    core.release(leaver);
    assert.equal(winner([behind]), 0);
  });

  it("has a place for the next thread of a slot whose last one gave up and ended", () => {
    for (const passedOver of [false, true]) {
      const process = new FakeProcess();
      const core = coreOf(row, SHAPE);
      const [owner, leaver] = [process.thread(0), process.thread(1)];
      core.begin(owner);
      acquire(core, leaver)?.step(true);
      process.kill(leaver);
      if (passedOver) core.release(owner);
      const behind = passedOver ? undefined : acquire(core, process.thread(2));
      const next = process.thread(1);
      const wait = acquire(core, next);
      assert.equal(core.holds(next), passedOver);
      if (!passedOver) {
        core.release(owner);
        assert.equal(winner([wait, behind]), 0, "its place is that of the last one");
      }
      assert.equal(core.release(next), true);
      assert.equal(isBroken(core), false);
    }
  });

  it("stands any number of waits and tries that come to nothing while it is held", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const [owner, leaver] = [process.thread(0), process.thread(1)];
    core.begin(owner);
    for (let round = 0; round < 40; round++) {
      acquire(core, leaver)?.step(true);
      assert.equal(core.tryAcquire(leaver), false);
    }
    const wait = acquire(core, leaver);
    assert.equal(core.release(owner), true);
    assert.equal(winner([wait]), 0);
    assert.equal(core.release(leaver) && core.tryAcquire(owner), true);
  });

  it("takes what it was given when it is told to give up", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const [owner, me] = [process.thread(0), process.thread(1)];
    core.begin(owner);
    const wait = acquire(core, me);
    core.release(owner);
    wait?.step(true);
    assert.equal(wait?.result, true);
    assert.equal(core.release(me), true);
  });

  it("tells all, then and later, when its owner dies", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const all = Array.from({ length: 5 }, (_, slot) => process.thread(slot, slot & 1));
    core.begin(all[0] as FakeWaiter);
    const waits = all.slice(1, 4).map((me) => acquire(core, me));
    assert.equal(isBroken(core), false);
    process.kill(all[0] as FakeWaiter);
    for (let round = 0; round < 3; round++) for (const wait of waits) wait?.step();
    assert.deepEqual(waits.map((wait) => wait?.result), [false, false, false]);
    assert.equal(isBroken(core), true);
    assert.equal(core.tryAcquire(all[4] as FakeWaiter), false);
    const late = acquire(core, all[4] as FakeWaiter);
    for (let round = 0; round < 3 && late?.asleep; round++) late.step();
    assert.equal(late?.result, false);
  });

  it("tells when a waiter dies, before or after it was given the lock", () => {
    for (const given of [false, true]) {
      const process = new FakeProcess();
      const core = coreOf(row, SHAPE);
      const all = Array.from({ length: 3 }, (_, slot) => process.thread(slot));
      const [owner, victim, other] = all as [FakeWaiter, FakeWaiter, FakeWaiter];
      core.begin(owner);
      acquire(core, victim);
      const wait = acquire(core, other);
      if (given) core.release(owner);
      process.kill(victim);
      wait?.run();
      assert.equal(wait?.result, false);
      assert.equal(isBroken(core), true);
    }
  });

  it("is found broken wherever among many threads the dead one was", () => {
    const shape: Shape = { threads: 200, domains: 2 };
    for (const slot of [63, 64, 199]) {
      const process = new FakeProcess();
      const core = coreOf(row, shape);
      const [owner, me] = [process.thread(slot), process.thread(0)];
      core.begin(owner);
      const wait = acquire(core, me);
      process.kill(owner);
      // It looks at some of them each time.
      for (let look = 0; look < 4; look++) wait?.step();
      assert.equal(wait?.result, false, `slot ${slot}`);
      assert.equal(isBroken(core), true);
    }
  });

  it("is found broken by waits that are short", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const [owner, me] = [process.thread(0), process.thread(1)];
    core.begin(owner);
    process.kill(owner);
    acquire(core, me)?.step(true);
    assert.equal(isBroken(core), true);
    assert.equal(acquire(core, me)?.result, false);
  });

  it("tells the next thread of a dead owner's slot", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const owner = process.thread(2);
    core.begin(owner);
    process.kill(owner);
    const heir = process.thread(2);
    assert.equal(core.holds(heir), false);
    assert.equal(core.release(heir), false);
    assert.equal(core.tryAcquire(heir), false);
    assert.equal(acquire(core, heir)?.result, false);
    assert.equal(isBroken(core), true);
  });
}

/** What those do that are first come, first served. */
function testOrder(row: LockRow): void {
  it("goes round when each comes back at once", () => {
    const process = new FakeProcess();
    const core = coreOf(row, SHAPE);
    const all = Array.from({ length: 6 }, (_, slot) => process.thread(slot, slot & 1));
    const waits = all.map((me) => acquire(core, me));
    for (let turn = 0; turn < 24; turn++) {
      const me = all[turn % 6] as FakeWaiter;
      waits[turn % 6]?.run();
      assert.equal(core.holds(me), true);
      core.release(me);
      waits[turn % 6] = acquire(core, me);
    }
  });
}

for (const row of LOCKS) {
  describe(coreName(row), () => {
    testCore(row);
    if (row.overtaken < Infinity) testQueue(row);
    if (row.overtaken === 0) testOrder(row);
  });
}

describe("TicketCore", () => {
  it("goes on where its 16-bit numbers wrap", () => {
    const process = new FakeProcess();
    const core = new TicketCore(sharedWords(TicketCore.words(SHAPE)), SHAPE);
    const [first, second] = [process.thread(0), process.thread(1)];
    for (let round = 0; round < 65_530; round++) {
      core.begin(first);
      core.release(first);
    }
    core.begin(first);
    for (let round = 0; round < 20; round++) {
      const [owner, other] = round % 2 === 0 ? [first, second] : [second, first];
      const wait = acquire(core, other);
      assert.equal(core.tryAcquire(owner), false);
      assert.equal(core.release(owner), true);
      wait?.run();
      assert.equal(core.holds(other), true);
    }
  });
});

/** Hand-offs of threads that all want the lock all the time. */
describe("hand-offs of 32 threads in 4 domains", () => {
  const shape: Shape = { threads: 32, domains: 4 };
  const threads = { threads: 32, domains: 4, turns: 20_000 };

  for (const row of LOCKS) {
    const { overtaken } = row;
    const name = coreName(row);
    const hand = (option?: number) => traffic(coreOf(row, shape, option), threads);
    if (overtaken === 0) {
      it(`of ${name} go to any domain, in order`, () => {
        const { across, longestBypass } = hand();
        assert.ok(across > 0.65 && across < 0.85, `${across} across`);
        assert.equal(longestBypass, 0);
      });
    } else if (overtaken < Infinity) {
      it(`of ${name} stay in a domain, and pass nobody for too long`, () => {
        const { across, longestBypass } = hand();
        assert.ok(across < 0.05, `${across} across`);
        assert.ok(longestBypass <= 32 * overtaken, `${longestBypass} passed`);
        const fair = hand(4);
        assert.ok(fair.across < 0.3 && fair.across > across, `${fair.across} across`);
        assert.ok(fair.longestBypass < longestBypass, `${fair.longestBypass} passed`);
      });
    }
  }
});

describe("MutexCore under 32 threads in 4 domains", () => {
  const shape = { threads: 32, domains: 4 };
  const cases: readonly (readonly [holdMs: number, patienceMs: number])[] = [
    [0.001, PATIENCE_MS],
    [0.01, PATIENCE_MS],
    [1, 1000],
  ];

  for (const [holdMs, patienceMs] of cases) {
    it(`stays in a domain, and lets nobody wait for much longer than ${patienceMs} ms, with holds of ${holdMs} ms`, () => {
      const core = new MutexCore(new Int32Array(MutexCore.words(shape)), shape, patienceMs);
      const { across, longestBypass } = traffic(core, { ...shape, turns: 40_000, holdMs });
      assert.ok(across < 0.05, `${across} across`);
      const bound = patienceMs / holdMs + 2 * shape.threads;
      assert.ok(longestBypass <= bound, `${longestBypass} passed, ${bound} at most`);
      assert.ok(longestBypass > bound / 4, `${longestBypass} passed: what does patience do?`);
    });
  }
});

describe("MutexCore's spinner", () => {
  it("gets what is released, and so does who was called: nobody else is woken", () => {
    for (const domains of [1, 2]) {
      const shape = { threads: 5, domains };
      const core = new MutexCore(sharedWords(MutexCore.words(shape)), shape);
      const process = new FakeProcess();
      const [owner, first, second, spinner, late] = Array.from(
        { length: 5 },
        (_, slot) => process.thread(slot),
      ) as [FakeWaiter, FakeWaiter, FakeWaiter, FakeWaiter, FakeWaiter];
      assert.ok(core.begin(owner));
      const waits = [first, second].map((sleeper) => acquire(core, sleeper));
      spinner.spin = (round) => {
        if (round === 2) core.release(owner);
        return round < 8;
      };
      assert.ok(core.begin(spinner));
      assert.equal(process.wakes, 0, "the spinner takes it");
      core.release(spinner);
      assert.equal(process.wakes, 1);
      assert.ok(core.begin(late));
      core.release(late);
      assert.equal(process.wakes, 1, "the one who was called has yet to come");
      assert.equal(winner(waits), 0);
      core.release(first);
      assert.equal(process.wakes, 2);
      assert.equal(winner(waits.slice(1)), 0);
    }
  });

  it("is followed by another one when it died in its place", () => {
    const shape = { threads: 3, domains: 1 };
    const words = new Int32Array(MutexCore.words(shape));
    const core = new MutexCore(words, shape);
    const process = new FakeProcess();
    const [owner, dead, next] = [process.thread(0), process.thread(1), process.thread(2)];
    assert.ok(core.begin(owner));
    words[LINE_WORDS] = dead.id;
    process.kill(dead);
    next.spins = 5;
    assert.equal(core.begin(next), false);
    assert.equal(next.pauses, 0, "the place is taken");
    assert.equal(core.begin(next), false);
    assert.ok(next.pauses > 0, "it spins");
  });
});
