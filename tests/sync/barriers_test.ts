import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  BARRIER_DIED,
  BARRIER_GAVE_UP,
  BARRIER_LEADER,
  BARRIER_PASSED,
  BARRIER_RESET,
  BARRIER_WAITING,
  BarrierCore,
} from "../../lib/sync/barriers/barrier_core.ts";
import { LatchCore } from "../../lib/sync/barriers/latch_core.ts";
import { ONCE_BUSY, ONCE_DONE, ONCE_RUN, OnceCore } from "../../lib/sync/barriers/once_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, Barrier, Latch, type NumaError, Once } from "../../mod.ts";
import { counting, withLoads } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";
import { FakeProcess, FakeWait, type FakeWaiter } from "../support/waiters.ts";
import { runPrimitives } from "../support/launches.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { WORD } from "../workers/primitives.ts";

const SHAPE: Shape = { threads: 6, domains: 2 };

/** Four threads of one domain. */
function four(process: FakeProcess): [FakeWaiter, FakeWaiter, FakeWaiter, FakeWaiter] {
  return [process.thread(3), process.thread(2), process.thread(1), process.thread(0)];
}

describe("BarrierCore", () => {
  /** A thread at a barrier. */
  class Party {
    readonly me: FakeWaiter;
    readonly #core: BarrierCore;
    #answer = BARRIER_WAITING;
    #wait: FakeWait<number> | undefined;

    constructor(core: BarrierCore, me: FakeWaiter) {
      this.#core = core;
      this.me = me;
    }

    come(): number {
      this.#wait = undefined;
      this.#answer = this.#core.begin(this.me);
      if (this.#answer === BARRIER_WAITING) {
        this.#wait = new FakeWait(this.me, this.#core.wait(this.me));
      }
      return this.answer;
    }

    giveUp(): number {
      this.#wait?.step(true);
      return this.answer;
    }

    get answer(): number {
      this.#wait?.run();
      return this.#wait?.result ?? this.#answer;
    }
  }

  function make(domains: readonly number[]): {
    process: FakeProcess;
    words: Int32Array;
    core: BarrierCore;
    parties: Party[];
  } {
    const words = sharedWords(BarrierCore.words(SHAPE));
    BarrierCore.init(words, domains.length);
    const core = new BarrierCore(words, SHAPE);
    const process = new FakeProcess();
    const parties = domains.map((domain, slot) => new Party(core, process.thread(slot, domain)));
    return { process, words, core, parties };
  }

  const come = (parties: readonly Party[]): void => {
    for (const party of parties) party.come();
  };

  it("lets all pass when all have come, and one of them lead, again and again", () => {
    const { parties, process } = make([0, 0, 1, 1, 1]);
    for (let phase = 0; phase < 20; phase++) {
      // Another order each time.
      const order = parties.map((_, index) => parties[(index * 2 + phase) % 5] as Party);
      come(order.slice(0, 4));
      assert.ok(order.slice(0, 4).every(({ answer }) => answer === BARRIER_WAITING));
      order[4]?.come();
      const answers = order.map(({ answer }) => answer);
      assert.equal(answers.filter((answer) => answer === BARRIER_LEADER).length, 1);
      assert.equal(answers.filter((answer) => answer === BARRIER_PASSED).length, 4);
    }
    assert.equal(process.wakes, 20 * 4, "each sleeper is woken once");
  });

  it("has only the last of a domain count for all", () => {
    const { parties, words } = make([0, 0, 1, 1, 1]);
    come(parties);
    const global = LINE_WORDS;
    const changes = parties.slice(0, 4).map((party) => {
      const before = words.slice(global, global + 2);
      party.come();
      return words.slice(global, global + 2).some((word, index) => word !== before[index]);
    });
    assert.deepEqual(changes, [false, true, false, false]);
    const { atomics } = counting(() => void parties[4]?.come());
    assert.ok((atomics.add as number) === 1);
    assert.deepEqual(parties.map(({ answer }) => answer), [1, 1, 1, 1, 2]);
  });

  it("finds out when threads have moved to other domains", () => {
    const { core, process } = make([0, 0, 1]);
    for (const domains of [[0, 1, 1], [1, 1, 1], [0, 0, 0], [1, 0, 1], [0, 0, 1]]) {
      // Others, in fact, in the slots of those that have left.
      const moved = domains.map((domain, slot) => new Party(core, process.thread(slot, domain)));
      come(moved);
      const answers = moved.map(({ answer }) => answer);
      assert.equal(answers.filter((answer) => answer === BARRIER_LEADER).length, 1);
      assert.equal(answers.filter((answer) => answer === BARRIER_PASSED).length, 2);
      for (const { me } of moved) core.leave(me);
    }
  });

  it("breaks when a party dies, whether it is there or not", () => {
    for (const there of [true, false]) {
      const { parties, process, core } = make([0, 0, 1]);
      const [first, second, third] = parties as [Party, Party, Party];
      come(parties);
      come(there ? [first, second] : [first]);
      process.kill(second.me);
      assert.equal(first.answer, BARRIER_DIED);
      assert.equal(third.come(), BARRIER_DIED);
      assert.equal(core.broken(), BARRIER_DIED);
    }
  });

  it("breaks when a party died whose slot another thread has now", () => {
    const { parties, process, core } = make([0, 0]);
    const [first, second] = parties as [Party, Party];
    come(parties);
    process.kill(second.me);
    first.come();
    assert.equal(new Party(core, process.thread(1)).come(), BARRIER_DIED);
    assert.equal(first.answer, BARRIER_DIED);
  });

  it("breaks when a party dies that has only joined", () => {
    const { parties, process, core } = make([0, 0, 1]);
    core.join((parties[2] as Party).me);
    process.kill((parties[2] as Party).me);
    assert.equal(parties[0]?.come(), BARRIER_DIED);
  });

  it("does not break when a party has left", () => {
    const { parties, process, core } = make([0, 1]);
    const [first, second] = parties as [Party, Party];
    come(parties);
    core.leave(second.me);
    process.kill(second.me);
    assert.equal(first.come(), BARRIER_WAITING);
    const other = new Party(core, process.thread(5, 1));
    assert.equal(other.come(), BARRIER_LEADER);
    assert.equal(first.answer, BARRIER_PASSED);
  });

  it("passes who has been let through before the leader died", () => {
    const { parties, process } = make([0, 1]);
    const [first, second] = parties as [Party, Party];
    assert.equal(first.come(), BARRIER_WAITING);
    assert.equal(second.come(), BARRIER_LEADER);
    process.kill(second.me);
    assert.equal(first.answer, BARRIER_PASSED);
  });

  it("breaks when a party gives up, and is whole after a reset", () => {
    const { parties, core, process } = make([0, 0, 1]);
    const [first, second, third] = parties as [Party, Party, Party];
    come([first, second]);
    assert.equal(second.giveUp(), BARRIER_GAVE_UP);
    // The first has not looked yet.
    const resetter = process.thread(4);
    const reset = new FakeWait(resetter, core.reset(resetter));
    assert.ok(reset.asleep);
    assert.equal(third.come(), BARRIER_GAVE_UP);
    assert.equal(first.answer, BARRIER_GAVE_UP);
    reset.step();
    assert.equal(reset.result, true);
    process.kill(second.me);
    const next = new Party(core, process.thread(1, 0));
    for (let phase = 0; phase < 3; phase++) {
      come([third, first]);
      assert.equal(next.come(), BARRIER_LEADER);
      assert.deepEqual([first.answer, third.answer], [BARRIER_PASSED, BARRIER_PASSED]);
    }
  });

  it("tells those who wait when it is reset, and goes on when who does it dies", () => {
    const { parties, core, process } = make([0, 1]);
    const [first, second] = parties as [Party, Party];
    first.come();
    const resetter = process.thread(4);
    const reset = new FakeWait(resetter, core.reset(resetter));
    const other = process.thread(5);
    const another = new FakeWait(other, core.reset(other));
    assert.ok(reset.asleep && another.asleep);
    process.kill(resetter);
    assert.equal(first.answer, BARRIER_RESET);
    another.run();
    assert.equal(another.result, true);
    assert.equal(core.broken(), 0);
    first.come();
    assert.equal(second.come(), BARRIER_LEADER);
  });
});

describe("LatchCore", () => {
  it("opens at 0 for good", () => {
    const words = sharedWords(LatchCore.words(SHAPE));
    LatchCore.init(words, 3);
    const core = new LatchCore(words, SHAPE);
    const process = new FakeProcess();
    const [first, second, quitter, opener] = four(process);
    assert.equal(core.countDown(opener, 1), 2);
    const waits = [first, second, quitter].map((me) => {
      assert.equal(core.begin(me), false);
      return new FakeWait(me, core.wait(me));
    });
    waits[2]?.step(true);
    assert.equal(waits[2]?.result, false);
    assert.equal(core.countDown(opener, 1), 1);
    assert.equal(process.wakes, 0);
    assert.equal(core.countDown(opener, 7), 0);
    for (const wait of waits) wait.run();
    assert.deepEqual(waits.map(({ result }) => result), [true, true, false]);
    assert.equal(quitter.wakes, 0);
    assert.equal(core.countDown(opener, 1), 0);
    assert.deepEqual(counting(() => core.begin(first)).atomics, withLoads({ shared: 1 }));
  });
});

describe("OnceCore", () => {
  it("is run by one, and by the next when that one fails or dies", () => {
    const core = new OnceCore(sharedWords(OnceCore.words(SHAPE)), SHAPE);
    const process = new FakeProcess();
    // Who ends a run wakes in the order of slots.
    const [fourth, third, second, first] = four(process);
    assert.equal(core.begin(first), ONCE_RUN);
    assert.equal(core.tryBegin(second), ONCE_BUSY);
    const waits = [second, third, fourth].map((me) => new FakeWait(me, core.wait(me)));
    assert.equal(core.end(second, true), false);
    assert.equal(core.end(first, false), true);
    for (const wait of waits) wait.run();
    assert.deepEqual(waits.map(({ result }) => result), [ONCE_RUN, undefined, undefined]);
    process.kill(second);
    for (const wait of waits) wait.run();
    assert.deepEqual(waits.map(({ result }) => result), [ONCE_RUN, ONCE_RUN, undefined]);
    assert.equal(core.runs(third), true);
    assert.equal(core.done(), false);
    assert.equal(core.end(third, true), true);
    waits[2]?.run();
    assert.equal(waits[2]?.result, ONCE_DONE);
    assert.deepEqual(counting(() => core.begin(first)).atomics, withLoads({ shared: 1 }));
  });
});

describe("Barrier", () => {
  const make = (parties: number): Barrier =>
    Barrier.create(new SharedArrayBuffer(Barrier.bytes()), parties);

  it("keeps threads in step", async () => {
    const [parties, times] = [4, 300];
    const barrier = make(parties);
    const words = sharedWords(8);
    const threads = Array.from(
      { length: parties },
      () => runPrimitives({ task: "steps", barrier, parties, times, words }),
    );
    for (const thread of threads) await thread.join();
    assert.deepEqual([words[WORD.leaders], words[WORD.late]], [times, 0]);
    assert.equal(barrier.broken, false);
  });

  it("is passed by waits that do not block, too", async () => {
    const barrier = make(3);
    const words = sharedWords(8);
    const thread = runPrimitives({ task: "meet", barrier, times: 5, words });
    for (let phase = 0; phase < 5; phase++) {
      const leaders = await Promise.all([barrier.waitAsync(), barrier.waitAsync()]);
      assert.ok(leaders.filter(Boolean).length <= 1);
    }
    assert.equal(await thread.join(), 5);
  });

  it("breaks for all when one gives up, until it is reset", async () => {
    const barrier = make(3);
    throwsCode(() => barrier.wait(), "EWOULDBLOCK");
    assert.equal(barrier.broken, false, "who may not block has not come");
    const words = sharedWords(8);
    const thread = runPrimitives({ task: "meet", barrier, times: 1, words });
    await reaches(words, WORD.there, 1);
    await rejectsCode(barrier.waitAsync({ timeoutMs: 20 }), "ETIMEDOUT");
    await rejectsCode(thread.join(), "ETIMEDOUT");
    assert.equal(barrier.broken, true);
    throwsCode(() => barrier.wait({ block: true }), "ETIMEDOUT");
    barrier.reset();
    assert.equal(barrier.broken, false);
    const all = await Promise.all([1, 2, 3].map(() => barrier.waitAsync()));
    assert.equal(all.filter(Boolean).length, 1);
  });

  it("tells the others when a thread dies", async () => {
    const barrier = make(2);
    const words = sharedWords(8);
    const thread = runPrimitives({ task: "meet", barrier, times: 1, dies: true, words });
    await barrier.waitAsync();
    await assert.rejects(thread.join(), /died on its way/);
    await rejectsCode(barrier.waitAsync({ timeoutMs: 60_000 }), "EOWNERDEAD");
    throwsCode(() => barrier.wait({ block: true }), "EOWNERDEAD");
    barrier.reset();
    const again = runPrimitives({ task: "meet", barrier, times: 1, words });
    await barrier.waitAsync();
    await again.join();
  });

  it("tells the others when a thread is terminated, which gives up first", async () => {
    const barrier = make(3);
    const words = sharedWords(8);
    const [thread, other] = [1, 2].map(() =>
      runPrimitives({ task: "meet", barrier, times: 1, words })
    );
    await reaches(words, WORD.there, 2);
    await sleep(20);
    void thread?.terminate();
    await assert.rejects(
      other?.join() as Promise<number>,
      ({ code }: NumaError) => code === "ETIMEDOUT" || code === "EOWNERDEAD",
    );
    assert.equal(barrier.broken, true);
  });

  it("refuses what cannot be", () => {
    for (const wrong of [0, 65, -1, 0.5, "2", null]) {
      throwsCode(() => make(wrong as number), "EINVAL");
    }
    throwsCode(() => make(1).wait({ timeoutMs: -1 }), "EINVAL");
    throwsCode(() => Barrier.fromHandle(make(1).toHandle().data as never), "EINVAL");
    assert.equal(make(7).parties, 7);
    assert.equal(make(1).wait({ block: true }), true);
  });

  it("is passed by a wait that is over by the time it looks, if all have come", async () => {
    const barrier = make(2);
    const wait = barrier.waitAsync({ timeoutMs: 5 });
    const start = performance.now();
    while (performance.now() < start + 10);
    assert.equal(barrier.wait({ block: true }), true);
    assert.equal(await wait, false);
    assert.equal(barrier.broken, false);
  });

  it(
    "gives back the slot of a wait that has passed when its arena is gone",
    { skip: noPolicies },
    async () => {
      const slotsTaken = (): number => {
        const { lot, id, slot } = claimWaiter();
        lot.release(id);
        return slot;
      };
      const before = slotsTaken();
      const arena = Arena.create({ node: 0, size: "64 KiB" });
      const wait = Barrier.create(arena, 1).waitAsync();
      arena.destroy();
      await rejectsCode(wait, "EDESTROYED");
      assert.equal(slotsTaken(), before);
    },
  );

  it("says so when its arena is gone", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const barrier = Barrier.create(arena, 2);
    const waiting = barrier.waitAsync();
    arena.destroy();
    await rejectsCode(waiting, "EDESTROYED");
    throwsCode(() => barrier.wait({ block: true }), "EDESTROYED");
    throwsCode(() => barrier.reset(), "EDESTROYED");
  });
});

describe("Latch and Once", () => {
  it("start together, and do it once", async () => {
    const latch = Latch.create(new SharedArrayBuffer(Latch.bytes()), 5);
    const once = Once.create(new SharedArrayBuffer(Once.bytes()));
    const words = sharedWords(8);
    const threads = Array.from(
      { length: 4 },
      () => runPrimitives({ task: "once", latch, once, times: 1, words }),
    );
    const opened = latch.waitAsync();
    await reaches(words, WORD.there, 4);
    assert.equal(once.done, false);
    throwsCode(() => latch.wait(), "EWOULDBLOCK");
    throwsCode(() => latch.wait({ block: true, timeoutMs: 1 }), "ETIMEDOUT");
    while (latch.count > 1) await sleep(1);
    assert.equal(latch.countDown(), 0);
    await opened;
    latch.wait();
    let ran = 0;
    for (const thread of threads) ran += await thread.join();
    assert.deepEqual([ran, words[WORD.runs], once.done], [1, 1, true]);
    assert.equal(once.run(() => assert.fail("twice")), false);
    assert.equal(await once.runAsync(() => assert.fail("twice")), false);
  });

  it("do it again when a thread dies in the middle", async () => {
    const once = Once.create(new SharedArrayBuffer(Once.bytes()));
    const words = sharedWords(8);
    await assert.rejects(
      runPrimitives({ task: "die in the middle", once, times: 1, words }).join(),
      /died in the middle/,
    );
    assert.equal(words[WORD.runs], 1);
    assert.equal(once.done, false);
    assert.equal(once.run(() => {}), true);
  });

  it("wait for asynchronous runs, and go on after their failures", async () => {
    const once = Once.create(new SharedArrayBuffer(Once.bytes()));
    throwsCode(() => once.run(7 as never), "EINVAL");
    throwsCode(() => once.run((() => Promise.resolve()) as () => void), "EINVAL");
    throwsCode(() => once.run(() => void once.run(() => {})), "EDEADLK");
    let runs = 0;
    let letGo: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const fail = async (): Promise<void> => {
      runs++;
      await held;
      throw new Error("not this time");
    };
    const first = assert.rejects(once.runAsync(fail), /not this time/);
    const second = once.runAsync(async () => {
      runs++;
      await sleep(5);
    });
    throwsCode(() => once.run(() => {}), "EWOULDBLOCK");
    await rejectsCode(once.runAsync(() => {}, { timeoutMs: 1 }), "ETIMEDOUT");
    letGo();
    await first;
    while (runs < 2) await sleep(1);
    const third = once.runAsync(() => assert.fail("it is done"));
    assert.deepEqual([await second, await third, runs], [true, false, 2]);
  });

  it("refuse what cannot be", () => {
    const latch = Latch.create(new SharedArrayBuffer(Latch.bytes()), 3);
    for (const wrong of [0, -1, 0.5, NaN, "1", null]) {
      throwsCode(() => latch.countDown(wrong as number), "EINVAL");
    }
    for (const wrong of [-1, 2 ** 29, 0.5, "1"]) {
      throwsCode(
        () => Latch.create(new SharedArrayBuffer(Latch.bytes()), wrong as number),
        "EINVAL",
      );
    }
    assert.equal(latch.count, 3);
    const open = Latch.create(new SharedArrayBuffer(Latch.bytes()), 0);
    open.wait();
    throwsCode(() => Once.fromHandle(open.toHandle()), "EINVAL");
  });

  it("say so when their arena is gone", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const latch = Latch.create(arena, 1);
    const once = Once.create(arena);
    const waiting = latch.waitAsync();
    throwsCode(() => once.run(() => arena.destroy()), "EDESTROYED");
    await rejectsCode(waiting, "EDESTROYED");
    throwsCode(() => latch.countDown(), "EDESTROYED");
    throwsCode(() => once.done, "EDESTROYED");
  });
});
