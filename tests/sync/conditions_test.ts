import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConditionCore } from "../../lib/sync/conditions/condition_core.ts";
import { EventCountCore } from "../../lib/sync/conditions/event_count_core.ts";
import { SeqCore } from "../../lib/sync/readers/seq_core.ts";
import { LINE_WORDS, type Waiter } from "../../lib/wait/waiter.ts";
import { Condition, EventCount, Guard, launch, Mutex, RwLock, type Thread } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";
import { Crew } from "../support/crew.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { reaches, sharedWords } from "../support/words.ts";
import type { ConditionsTask } from "../workers/conditions.ts";

// Semaphores have a file of their own, semaphores_test.ts.

const module = sibling(import.meta.url, "../workers/conditions");
const SHAPE = { threads: 4, domains: 2 };

function run(args: ConditionsTask): Thread<number> {
  return launch<number>(module, { args });
}

describe("EventCountCore and ConditionCore", () => {
  const setup = (): { crew: Crew; members: Waiter[]; core: EventCountCore } => {
    const crew = new Crew();
    const members = [0, 1, 2, 3].map((slot) => crew.member(slot));
    const core = new EventCountCore(sharedWords(EventCountCore.words(SHAPE)), SHAPE);
    return { crew, members, core };
  };

  it("wakes who waits, in turn, and passes on what came too late", () => {
    const { crew, members: [a, b, c, d], core } = setup() as never as {
      crew: Crew;
      members: [Waiter, Waiter, Waiter, Waiter];
      core: EventCountCore;
    };
    assert.equal(core.notify(d), false);
    for (const me of [a, b, c]) core.prepare(me);
    assert.ok(core.notify(d) && core.notify(d));
    assert.deepEqual(crew.woken, [a.id, b.id]);
    core.cancel(a);
    assert.deepEqual(crew.woken, [a.id, b.id, c.id]);
    assert.deepEqual(core.wait(b).next(false), { value: true, done: true });
    assert.deepEqual(core.wait(c).next(false), { value: true, done: true });
    assert.equal(core.notify(d), false);
    core.prepare(a);
    const wait = core.wait(a);
    assert.equal(wait.next(false).done, false);
    assert.equal(wait.next(false).done, false, "woken for no reason");
    assert.deepEqual(wait.next(true), { value: false, done: true });
    core.prepare(a);
    core.prepare(b);
    assert.ok(core.notifyAll(d));
    assert.deepEqual(core.wait(a).next(true), { value: true, done: true });
  });

  it("does not lose what a dead one was told", () => {
    const { crew, members, core } = setup();
    const [a, b, c] = members as [Waiter, Waiter, Waiter, Waiter];
    core.prepare(a);
    core.prepare(b);
    const wait = core.wait(b);
    wait.next(false);
    assert.ok(core.notify(c));
    assert.deepEqual(crew.woken, [a.id]);
    crew.dead.add(a.id);
    assert.deepEqual(wait.next(false), { value: true, done: true });
    core.prepare(b);
    crew.woken.length = 0;
    core.notify(c);
    assert.deepEqual(crew.woken, [b.id], "the dead are not woken");
  });

  it("releases the lock only for who holds it, after it has announced itself", () => {
    const { members, core } = setup();
    const [a, b] = members as [Waiter, Waiter, Waiter, Waiter];
    const condition = new ConditionCore(core);
    const lock = new SeqCore(sharedWords(LINE_WORDS), SHAPE, 1);
    assert.equal(condition.begin(lock, a), false);
    assert.equal(condition.signal(b), false);
    lock.tryAcquire(a);
    assert.ok(condition.begin(lock, a) && !lock.holds(a));
    assert.ok(condition.signal(b));
    assert.deepEqual(condition.wait(a).next(false), { value: true, done: true });
    assert.equal(condition.broadcast(b), false);
  });
});

describe("EventCount and Condition, in threads", () => {
  it("take one load to notify nobody, and no foreign call", () => {
    const events = EventCount.create(new SharedArrayBuffer(EventCount.bytes()));
    const notify = (): void => void events.notify();
    notify();
    assert.deepEqual(counting(notify), { atomics: { load: 1 }, helper: {} });
  });

  it("take all that was made, asleep or not", async () => {
    const events = EventCount.create(new SharedArrayBuffer(EventCount.bytes()));
    const words = sharedWords(2);
    const times = 2000;
    const tasks = ["take", "take", "take", "make", "make"] as const;
    const threads = tasks.map((task) => run({ task, events, words, times }));
    let taken = 0;
    const take = (): boolean => {
      const found = Atomics.load(words, 0);
      if (found === 0 || Atomics.compareExchange(words, 0, found, found - 1) !== found) {
        return false;
      }
      taken++;
      return true;
    };
    const make = run({ task: "make", events, words, times: times + 10 });
    for (let turn = 0; turn < 10; turn++) await events.waitUntilAsync(take);
    for (const thread of [...threads, make]) await thread.join();
    assert.deepEqual([words[0], taken], [0, 10]);
    throwsCode(() => events.waitUntil(() => false), "EWOULDBLOCK");
    throwsCode(() => events.waitUntil(() => false, { block: true, timeoutMs: 5 }), "ETIMEDOUT");
    await rejectsCode(events.waitUntilAsync(() => false, { timeoutMs: 5 }), "ETIMEDOUT");
  });

  it("refuse to look asynchronously, and take that for no success", async () => {
    const events = EventCount.create(new SharedArrayBuffer(EventCount.bytes()));
    let looks = 0;
    // The last look is asynchronous; its rejection is not left unhandled.
    const take = (last: number) => (): boolean =>
      (++looks < last ? false : Promise.reject(new Error("late"))) as boolean;
    for (const last of [1, 2]) {
      looks = 0;
      throwsCode(() => events.waitUntil(take(last), { block: true }), "EINVAL", /asynchronous/);
    }
    for (const last of [1, 2, 3]) {
      looks = 0;
      const waiting = rejectsCode(events.waitUntilAsync(take(last)), "EINVAL", /asynchronous/);
      events.notify();
      await waiting;
      assert.equal(looks, last);
    }
    assert.equal(events.notify(), false, "nobody waits");
  });

  it("consume under a mutex what others produce", async () => {
    const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
    const filled = Condition.create(new SharedArrayBuffer(Condition.bytes()));
    const words = sharedWords(2);
    const times = 500;
    const tasks = ["consume", "consume", "produce", "produce"] as const;
    const threads = tasks.map((task) => run({ task, lock, filled, words, times }));
    await reaches(words, 1, 4);
    for (const thread of threads) await thread.join();
    assert.equal(words[0], 0);
  });

  it("wait for a condition no longer than they said, and have the lock afterwards", async () => {
    const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
    const filled = Condition.create(new SharedArrayBuffer(Condition.bytes()));
    throwsCode(() => filled.wait(lock), "EOWNER");
    throwsCode(() => filled.wait({} as never), "EINVAL");
    {
      using _guard = lock.acquire();
      throwsCode(() => filled.wait(lock, { block: true, timeoutMs: 5 }), "ETIMEDOUT");
      assert.equal(lock.held, true);
    }
    const waiting = filled.waitAsync(lock, await lock.acquireAsync());
    lock.acquire().release();
    assert.equal(filled.signal(), true);
    (await waiting).release();
    await rejectsCode(
      filled.waitAsync(lock, await lock.acquireAsync(), { timeoutMs: 5 }),
      "ETIMEDOUT",
    );
    using _guard = lock.acquire();
  });

  it("wait without blocking only with a guard of that lock which is still held", async () => {
    const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
    const other = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
    const filled = Condition.create(new SharedArrayBuffer(Condition.bytes()));
    const [guard, others] = [await lock.acquireAsync(), await other.acquireAsync()];
    const wait = (given: unknown): Promise<Guard> => filled.waitAsync(lock, given as Guard);
    await rejectsCode(wait(others), "EINVAL", /is of another lock/);
    for (const none of [null, 1, {}, Object.create(Guard.prototype), new Proxy(guard, {})]) {
      await rejectsCode(wait(none), "EINVAL", /is not a guard of acquireAsync/);
    }
    // Nothing has happened: both are held.
    for (const held of [lock, other]) {
      throwsCode(() => held.acquire({ block: true }), "EDEADLK", /asynchronous call/);
    }
    others.release();
    const waiting = wait(guard);
    await rejectsCode(wait(guard), "EOWNER", /has been released/);
    assert.equal(filled.signal(), true);
    assert.equal(filled.signal(), false);
    (await waiting).release();
    await rejectsCode(wait(guard), "EOWNER");
    await rejectsCode(wait(lock.acquire()), "EINVAL", /is not a guard of acquireAsync/);
    assert.equal(lock.held, true);
    lock.release();
    const sides = RwLock.create(new SharedArrayBuffer(RwLock.bytes()));
    const reads = await sides.read.acquireAsync();
    await rejectsCode(filled.waitAsync(sides.write, reads), "EINVAL", /is of another lock/);
    await rejectsCode(filled.waitAsync(sides.read, reads, { timeoutMs: 1 }), "ETIMEDOUT");
    sides.write.acquire().release();
  });

  it("wait with nothing that only looks like a lock", async () => {
    const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
    const filled = Condition.create(new SharedArrayBuffer(Condition.bytes()));
    const guard = await lock.acquireAsync();
    const fakes: object[] = [Mutex.prototype, lock].map((parent) => Object.create(parent));
    for (const fake of [...fakes, new Proxy(lock, {})] as Mutex[]) {
      throwsCode(() => filled.wait(fake, { block: true }), "EINVAL", /is not a lock/);
      await rejectsCode(filled.waitAsync(fake, guard), "EINVAL", /is not a lock/);
    }
    guard.release();
  });
});
