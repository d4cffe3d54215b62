import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Semaphore } from "../../lib/sync/conditions/semaphore.ts";
import { SemaphoreCore } from "../../lib/sync/conditions/semaphore_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { Arena } from "../../mod.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { counting } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { FakeProcess, FakeWait, type FakeWaiter } from "../support/waiters.ts";
import { WORD } from "../workers/primitives.ts";
import { noPolicies } from "../support/policies.ts";
import { runPrimitives } from "../support/launches.ts";
import { sharedWords } from "../support/words.ts";

const SHAPE: Shape = { threads: 6, domains: 2 };
/** Word of a semaphore: the next ticket. */
const TICKETS = LINE_WORDS + 3;

/** Four threads of one domain. */
function four(process: FakeProcess): [FakeWaiter, FakeWaiter, FakeWaiter, FakeWaiter] {
  return [process.thread(3), process.thread(2), process.thread(1), process.thread(0)];
}

describe("SemaphoreCore", () => {
  function make(permits: number, bypass = 3, ticket = 0): {
    process: FakeProcess;
    core: SemaphoreCore;
    waits: (me: FakeWaiter, n: number) => FakeWait<boolean>;
  } {
    const words = sharedWords(SemaphoreCore.words(SHAPE));
    SemaphoreCore.init(words, permits, 4, bypass);
    words[TICKETS] = ticket;
    const core = new SemaphoreCore(words, SHAPE);
    const waits = (me: FakeWaiter, n: number): FakeWait<boolean> => {
      assert.equal(core.begin(me, n), false);
      const wait = new FakeWait(me, core.wait(me, n));
      assert.ok(wait.asleep);
      return wait;
    };
    return { process: new FakeProcess(), core, waits };
  }

  it("takes two atomics to acquire and two to release, and wakes nobody who does not sleep", () => {
    const { process, core } = make(2);
    const me = process.thread(0);
    const { atomics } = counting(() => core.begin(me, 2) && core.release(me, 2));
    assert.deepEqual(atomics, { load: 2, compareExchange: 2 });
    assert.equal(process.wakes, 0);
  });

  it("serves sleepers in their order, whatever they need, also where tickets wrap", () => {
    for (const ticket of [0, 2 ** 31 - 2, 2 ** 31 - 1, -1]) servesInOrder(ticket);
  });

  function servesInOrder(ticket: number): void {
    const { process, core, waits } = make(0, 3, ticket);
    const [many, few, last, giver] = four(process);
    const [first, second, third] = [waits(many, 3), waits(few, 1), waits(last, 1)];
    core.release(giver, 2);
    assert.equal(process.wakes, 0, "not enough for the first");
    core.release(giver, 2);
    assert.deepEqual([many.wakes, few.wakes], [1, 0]);
    second.step();
    assert.ok(second.asleep, "not its turn");
    first.run();
    assert.deepEqual([first.result, few.wakes], [true, 1]);
    second.run();
    assert.deepEqual([second.result, core.available(), last.wakes], [true, 0, 0]);
    core.release(giver, 1);
    third.run();
    assert.equal(third.result, true);
  }

  it("lets newcomers overtake so often and no more", () => {
    const { process, core, waits } = make(2);
    const [sleeper, newcomer] = [process.thread(0), process.thread(1)];
    assert.ok(core.tryAcquire(newcomer, 1));
    const wait = waits(sleeper, 2);
    for (let turn = 0; turn < 3; turn++) {
      assert.ok(core.tryAcquire(newcomer, 1), `turn ${turn}`);
      assert.ok(core.release(newcomer, 1));
    }
    assert.equal(core.tryAcquire(newcomer, 1), false);
    assert.equal(core.begin(newcomer, 1), false);
    core.release(newcomer, 1);
    wait.run();
    assert.equal(wait.result, true);
    core.release(sleeper, 2);
    assert.ok(core.tryAcquire(newcomer, 1), "open again");
  });

  it("goes on when a sleeper gives up, or dies", () => {
    for (const end of ["gives up", "dies"]) {
      const { process, core, waits } = make(1);
      const [many, few, other] = [process.thread(0), process.thread(1), process.thread(2)];
      assert.ok(core.tryAcquire(other, 1));
      const [first, second] = [waits(many, 2), waits(few, 1)];
      core.release(other, 1);
      assert.equal(process.wakes, 0);
      if (end === "gives up") {
        first.step(true);
        assert.equal(first.result, false);
      } else {
        process.kill(many);
      }
      second.run();
      assert.equal(second.result, true, end);
      core.release(few, 1);
      assert.equal(core.available(), 1);
    }
  });

  it("is not kept closed for the dead", () => {
    const { process, core, waits } = make(2, 1);
    const [sleeper, newcomer] = [process.thread(0), process.thread(1)];
    assert.ok(core.tryAcquire(newcomer, 1));
    waits(sleeper, 2);
    assert.ok(core.tryAcquire(newcomer, 1));
    assert.ok(core.release(newcomer, 1));
    assert.equal(core.tryAcquire(newcomer, 1), false);
    process.kill(sleeper);
    assert.ok(core.tryAcquire(newcomer, 1));
  });

  it("does not take back more than there can be", () => {
    const { process, core } = make(4);
    const me = process.thread(0);
    assert.equal(core.release(me, 1), false);
    assert.ok(core.tryAcquire(me, 3));
    assert.equal(core.release(me, 4), false);
    assert.equal(core.available(), 1);
  });
});

describe("Semaphore", () => {
  const make = (permits: number, options = {}): Semaphore =>
    Semaphore.create(new SharedArrayBuffer(Semaphore.bytes(options)), permits, options);

  it("counts permits", async () => {
    const semaphore = make(2, { maxPermits: 3 });
    semaphore.acquire(2);
    assert.equal(semaphore.tryAcquire(), false);
    throwsCode(() => semaphore.acquire(), "EWOULDBLOCK");
    throwsCode(() => semaphore.acquire(1, { block: true, timeoutMs: 5 }), "ETIMEDOUT");
    await rejectsCode(semaphore.acquireAsync(1, { timeoutMs: 5 }), "ETIMEDOUT");
    // As of every lock: one permit, and options.
    throwsCode(() => semaphore.acquire({ block: true, timeoutMs: 5 }), "ETIMEDOUT");
    await rejectsCode(semaphore.acquireAsync({ timeoutMs: 5 }), "ETIMEDOUT");
    const aborted = new DOMException("enough", "AbortError");
    await assert.rejects(
      semaphore.acquireAsync({ signal: AbortSignal.abort(aborted) }),
      (error) => error === aborted,
    );
    const waits = [semaphore.acquireAsync(2), semaphore.acquireAsync()];
    semaphore.release(3);
    await Promise.all(waits);
    assert.equal(semaphore.available, 0);
    semaphore.release(3);
    throwsCode(() => semaphore.release(), "EOWNER");
    assert.equal(semaphore.available, 3);
    assert.equal(Semaphore.fromHandle(semaphore.toHandle()), semaphore);
  });

  it("refuses what cannot be", () => {
    const semaphore = make(2);
    for (const wrong of [0, -1, 3, 0.5, NaN, "1", null]) {
      throwsCode(() => semaphore.acquire(wrong as number), "EINVAL");
      throwsCode(() => semaphore.tryAcquire(wrong as number), "EINVAL");
      throwsCode(() => semaphore.release(wrong as number), "EINVAL");
    }
    for (const wrong of [-1, 2 ** 29, 0.5, "1"]) throwsCode(() => make(wrong as number), "EINVAL");
    throwsCode(() => make(2, { maxPermits: 1 }), "EINVAL");
    throwsCode(() => make(2, { threads: 0 }), "EINVAL");
    const alone = make(1, { threads: 1 });
    alone.acquire();
    return rejectsCode(alone.acquireAsync(), "EAGAIN");
  });

  it("lets no more in than there are permits", async () => {
    const semaphore = make(3);
    const words = sharedWords(8);
    const threads = [1, 1, 2, 3].map((n) =>
      runPrimitives({ task: "permits", semaphore, n, times: 2_000, words })
    );
    for (const thread of threads) await thread.join();
    assert.ok((words[WORD.most] as number) <= 3);
    assert.equal(semaphore.available, 3);
  });

  it("says so when its arena is gone", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const semaphore = Semaphore.create(arena, 0);
    const waiting = semaphore.acquireAsync();
    arena.destroy();
    throwsCode(() => semaphore.acquire(), "EDESTROYED");
    throwsCode(() => semaphore.release(), "EDESTROYED");
    throwsCode(() => semaphore.available, "EDESTROYED");
    await rejectsCode(waiting, "EDESTROYED");
  });
});
