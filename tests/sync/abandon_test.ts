import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Arena,
  Barrier,
  Condition,
  Epoch,
  EventCount,
  Latch,
  launch,
  Mutex,
  Once,
  Semaphore,
  type Thread,
  TicketLock,
} from "../../mod.ts";
import { endWaits, evict, forget, settle } from "../../lib/memory/mapping/tenants.ts";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { type AnyLock, EXCLUSIVE, type LockSide, READ, SIDES } from "../support/locks.ts";
import { reaches } from "../support/words.ts";
import { type AbandonTask, outcome } from "../workers/abandoner.ts";

const module = sibling(import.meta.url, "../workers/abandoner");

/** What is held, and how the waits of others for it end. */
interface Case {
  /** The lock that is held, and the one that is then waited for. */
  make(arena: Arena): { readonly held: AnyLock; readonly wanted: AnyLock };
  readonly side: LockSide<AnyLock>;
  readonly ends: "ownerDied" | "EOWNERDEAD" | "got";
}

function caseOf(side: LockSide<AnyLock>): Case {
  const { isRead, robust } = side;
  return {
    make(arena) {
      const { lock, other } = side.make(arena);
      return { held: lock, wanted: isRead ? other : lock };
    },
    side,
    ends: isRead ? "got" : robust ? "ownerDied" : "EOWNERDEAD",
  };
}

const CASES: Readonly<Record<string, Case>> = Object.fromEntries(
  SIDES.map((side) => [side.name, caseOf(side)]),
);
let names = 0;

function arenaFor(name = ""): Arena {
  const needsName = CASES[name]?.side.needsName === true;
  const named = needsName ? { name: `abandon-${process.pid}-${names++}` } : {};
  return Arena.create({ node: 0, size: "1 MiB", ...named });
}

const run = (args: AbandonTask): Thread<string> => launch<string>(module, { args });

/** Has a thread hold something, others wait for it, and looks what becomes of them. */
async function abandon(
  name: string,
  task: "leave" | "return",
  isAsync: boolean,
): Promise<readonly string[]> {
  const { make } = CASES[name] as Case;
  using arena = arenaFor(name);
  const { held, wanted } = make(arena);
  const words = new Int32Array(new SharedArrayBuffer(12));
  // It goes on living, and its waits without blocking all have one id.
  const elsewhere = Mutex.create(new SharedArrayBuffer(2 ** 16));
  const holder = run({
    ...{ task, arena, held: { lock: held }, isAsync, words },
    ...(isAsync && { elsewhere }),
  });
  await reaches(words, 0, 1);
  // One that sleeps and one that does not, and later one that comes when all is over.
  const heir = run({ task: "get", arena, held: { lock: wanted }, words });
  const mine = outcome(wanted, true);
  await reaches(words, 2, 1);
  await sleep(10);
  Atomics.store(words, 1, 1);
  const ends = await Promise.all([heir.join(), mine]);
  ends.push(await outcome(wanted, true));
  Atomics.store(words, 1, 2);
  await holder.join();
  return ends;
}

describe("a thread that destroys an arena in which it holds", () => {
  for (const [name, { ends }] of Object.entries(CASES)) {
    // Who comes after one that has said that all is right again finds a lock like any other.
    const after = ends === "ownerDied" ? "got" : ends;
    for (const isAsync of [false, true]) {
      it(`a ${name}${isAsync ? ", by acquireAsync" : ""}, leaves it like a dead one`, async () => {
        const [first, second, late] = await abandon(name, "leave", isAsync);
        assert.deepEqual([first, second].sort(), [ends, after].sort());
        assert.equal(late, after);
      });
    }
  }

  it("a lock that a wait has just been given, does not give it out", async () => {
    for (const make of [() => Mutex.create, () => TicketLock.create]) {
      const arena = Arena.create({ node: 0, size: "64 KiB" });
      const lock = make()(arena);
      const guard = lock.acquire();
      const waits = [lock.acquireAsync(), lock.acquireAsync()];
      guard.release();
      arena.destroy();
      for (const wait of waits) await rejectsCode(wait, "EDESTROYED");
    }
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const semaphore = Semaphore.create(arena, 0);
    const wait = semaphore.acquireAsync();
    semaphore.release();
    arena.destroy();
    await rejectsCode(wait, "EDESTROYED");
  });

  it("something that it does once, is told what went wrong first", async () => {
    for (const isAsync of [false, true]) {
      const arena = Arena.create({ node: 0, size: "64 KiB" });
      const once = Once.create(arena);
      const fail = (): never => {
        arena.destroy();
        throw new Error("mine");
      };
      const run = async () => isAsync ? await once.runAsync(fail) : once.run(fail);
      await assert.rejects(run, /^Error: mine$/);
      const other = Arena.create({ node: 0, size: "64 KiB" });
      const again = Once.create(other);
      const end = () => other.destroy();
      await rejectsCode(
        (async () => isAsync ? await again.runAsync(end) : again.run(end))(),
        "EDESTROYED",
      );
    }
  });

  it("a lock wakes all that sleep, to look for it", async () => {
    const { lot, id } = claimWaiter();
    for (const isAsync of [false, true]) {
      const arena = Arena.create({ node: 0, size: "64 KiB" });
      const lock = Mutex.create(arena);
      if (isAsync) await lock.acquireAsync();
      else lock.acquire();
      const sleeping = lot.parkAsync(id, 10_000);
      arena.destroy();
      assert.equal(await sleeping, true);
    }
    lot.release(id);
  });

  it("a lock whose object is another one by now, is found by that one", () => {
    const told: string[] = [];
    const tenant = (name: string) => ({
      holds: () => false,
      endWaits: () => void told.push(name),
      abandon: () => {},
    });
    const [older, newer] = [tenant("older"), tenant("newer")];
    settle(-1, "lock", older);
    settle(-1, "lock", newer);
    forget(-1, "lock", older);
    evict(-1);
    assert.deepEqual(told, ["newer"]);
    settle(-1, "lock", newer);
    forget(-1, "lock", newer);
    evict(-1);
    assert.deepEqual(told, ["newer"]);
  });

  it("a lock to read twice, once by acquireAsync, keeps no writer out", async () => {
    for (const side of READ) {
      const arena = arenaFor();
      const { lock: read, other: write } = side.make(arena);
      read.acquire();
      await read.acquireAsync();
      const words = new Int32Array(new SharedArrayBuffer(12));
      const heir = run({ task: "get", arena, held: { lock: write }, words });
      await reaches(words, 2, 1);
      arena.destroy();
      assert.equal(await heir.join(), "got");
    }
  });

  it("locks elsewhere keeps those", async () => {
    using kept = Arena.create({ node: 0, size: "64 KiB" });
    const lock = Mutex.create(kept);
    lock.acquire();
    {
      using arena = Arena.create({ node: 0, size: "64 KiB" });
      Mutex.create(arena).acquire();
    }
    assert.equal(lock.held, true);
    const words = new Int32Array(new SharedArrayBuffer(12));
    const heir = run({ task: "get", arena: kept, held: { lock }, words });
    await reaches(words, 2, 1);
    await sleep(5);
    lock.release();
    assert.equal(await heir.join(), "got");
  });

  it("a lock has no use for its guard, and does not find it held", async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const lock = Mutex.create(arena);
    const guard = lock.acquire();
    const other = Mutex.create(arena);
    const later = await other.acquireAsync();
    arena.destroy();
    throwsCode(() => guard.release(), "EDESTROYED");
    throwsCode(() => later.release(), "EDESTROYED");
    assert.equal(lock.held, false);
    throwsCode(() => lock.acquire(), "EDESTROYED");
    await rejectsCode(lock.acquireAsync(), "EDESTROYED");
  });

  it("a place at a barrier breaks it", async () => {
    for (const isAsync of [false, true]) {
      using arena = arenaFor();
      const barrier = Barrier.create(arena, 3);
      const words = new Int32Array(new SharedArrayBuffer(12));
      const holder = run({ task: "leave", arena, held: { barrier }, isAsync, words });
      await reaches(words, 0, 1);
      const wait = rejectsCode(barrier.waitAsync({ timeoutMs: 5000 }), "EOWNERDEAD");
      await sleep(5);
      Atomics.store(words, 1, 1);
      await wait;
      Atomics.store(words, 1, 2);
      await holder.join();
    }
  });

  it("something that is to be done once leaves it to the others", async () => {
    using arena = arenaFor();
    const once = Once.create(arena);
    const words = new Int32Array(new SharedArrayBuffer(12));
    const holder = run({ task: "leave", arena, held: { once }, isAsync: true, words });
    await reaches(words, 0, 1);
    const did = once.runAsync(() => {}, { timeoutMs: 5000 });
    await sleep(5);
    Atomics.store(words, 1, 1);
    assert.equal(await did, true);
    Atomics.store(words, 1, 2);
    await holder.join();
  });

  it("an epoch holds up nobody's memory", async () => {
    using arena = arenaFor();
    const epoch = Epoch.create(arena);
    const words = new Int32Array(new SharedArrayBuffer(12));
    const holder = run({ task: "leave", arena, held: { epoch }, words });
    await reaches(words, 0, 1);
    const { current } = epoch;
    while (epoch.advance());
    assert.equal(epoch.safe(current), false);
    Atomics.store(words, 1, 1);
    await reaches(words, 0, 2);
    while (!epoch.safe(current)) assert.equal(epoch.advance(), true);
    Atomics.store(words, 1, 2);
    await holder.join();
  });
});

describe("a thread that returns while it holds", () => {
  for (const [name, { ends, side }] of Object.entries(CASES)) {
    // A dead reader may be one that cannot be told from a slow one.
    if (!side.findsDead) continue;
    it(`a ${name} is followed by who waits`, async () => {
      const [first, second] = await abandon(name, "return", false);
      const after = ends === "ownerDied" ? "got" : ends;
      assert.deepEqual([first, second].sort(), [ends, after].sort());
    });
  }
});

describe("the waits of a thread that destroys their arena", () => {
  /** Something that waits, and what would end it. */
  const WAITS: Readonly<Record<string, (arena: Arena) => Promise<unknown>>> = {
    ...Object.fromEntries(
      Object.entries(CASES).filter(([, { side }]) => !side.needsName).map(([name, { make }]) => [
        name,
        (arena: Arena): Promise<unknown> => {
          const { held, wanted } = make(arena);
          held.acquire();
          return wanted.acquireAsync();
        },
      ]),
    ),
    Semaphore: (arena) => Semaphore.create(arena, 0).acquireAsync(),
    Latch: (arena) => Latch.create(arena, 1).waitAsync(),
    Barrier: (arena) => Barrier.create(arena, 2).waitAsync(),
    EventCount: (arena) => EventCount.create(arena).waitUntilAsync(() => false),
    async Condition(arena) {
      const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
      return await Condition.create(arena).waitAsync(lock, await lock.acquireAsync());
    },
    Once(arena) {
      const once = Once.create(arena);
      once.runAsync(() => new Promise(() => {})).catch(() => {});
      return once.runAsync(() => {});
    },
  };

  for (const [name, wait] of Object.entries(WAITS)) {
    it(`end at once, and give back their slots: ${name}`, async () => {
      const { lot, id, slot } = claimWaiter();
      lot.release(id);
      const arena = arenaFor(name);
      const end = rejectsCode(wait(arena), "EDESTROYED");
      await sleep(5);
      const start = performance.now();
      arena.destroy();
      await end;
      assert.ok(performance.now() - start < 500, `${performance.now() - start} ms`);
      if (name === "Once") return; // It runs for ever.
      let free = slot + 1;
      for (let tries = 0; tries < 200 && free > slot; tries++) {
        await sleep(1);
        const now = claimWaiter();
        lot.release(now.id);
        free = now.slot;
      }
      assert.ok(free <= slot, `slot ${free}, ${slot} before`);
    });
  }

  it("do not break a queue that others wait in", async () => {
    for (const side of EXCLUSIVE.filter(({ row }) => row.overtaken < Infinity)) {
      using arena = arenaFor();
      const lock = side.lock(arena);
      const words = new Int32Array(new SharedArrayBuffer(12));
      const holder = run({ task: "return", arena, held: { lock }, words });
      holder.join().catch(() => {});
      await reaches(words, 0, 1);
      const gone = Arena.fromHandle(arena.toHandle());
      assert.equal(gone, arena);
      const wait = lock.acquireAsync({ timeoutMs: 1 });
      await rejectsCode(wait, "ETIMEDOUT");
      Atomics.store(words, 1, 1);
      await holder.join();
    }
  });
});

describe("what lives in a mapping", () => {
  it("says that something is held there, whichever of it that is", () => {
    // Of no mapping.
    const identity = -1;
    for (const held of ["first", "second", "third"]) {
      for (const name of ["first", "second", "third"]) {
        settle(identity, name, { holds: () => name === held, endWaits() {}, abandon() {} });
      }
      assert.equal(endWaits(identity), true, held);
    }
    evict(identity);
    assert.equal(endWaits(identity), false);
  });
});

describe("a thread that is terminated", () => {
  for (const name of ["Mutex", "SharedMutex"]) {
    it(`keeps its ${name} for as long as code of it runs`, async () => {
      const { make } = CASES[name] as Case;
      using arena = arenaFor(name);
      const { held } = make(arena);
      const words = new Int32Array(new SharedArrayBuffer(12));
      const writer = run({ task: "write", arena, held: { lock: held }, words });
      writer.join().catch(() => {});
      await reaches(words, 2, 3);
      const wait = held.acquireAsync({ timeoutMs: 60_000 });
      const gone = writer.terminate();
      const guard = await wait;
      const found = Atomics.load(words, 2);
      assert.equal(guard.ownerDied, true);
      await sleep(150);
      assert.equal(Atomics.load(words, 2) - found, 0);
      held.markConsistent();
      guard.release();
      assert.equal(await gone, true);
    });
  }
});
