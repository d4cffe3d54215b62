import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import {
  Arena,
  Barrier,
  Condition,
  EventCount,
  Latch,
  type Lock,
  Mutex,
  Once,
  type RwLock,
  Semaphore,
} from "../../mod.ts";
import { decode, type Handle } from "../../lib/base/handle.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import {
  collected,
  collectGarbage,
  drop,
  findAgain,
  type Known,
  several,
} from "../support/garbage.ts";
import { type AnyLock, EXCLUSIVE, READ, SHARED, SIDES } from "../support/locks.ts";

const SOON = { timeoutMs: 20 };
const LONG = { timeoutMs: 60_000 };
const NOW = { ...SOON, block: true };

/** Not one that is kept as long as its arena. */
const LOCAL = [...EXCLUSIVE, ...READ];

function memory(type: { bytes(): number }): SharedArrayBuffer {
  return new SharedArrayBuffer(type.bytes());
}

describe("a lock that was collected while this thread holds it", () => {
  for (const { name, make, needsName } of SIDES) {
    it(`is found as held: ${name}`, async () => {
      const named = needsName ? { name: `collected-${process.pid}` } : {};
      using arena = Arena.create({ node: 0, size: "1 MiB", ...named });
      const hold = (): AnyLock => {
        const { lock } = make(arena);
        lock.acquire();
        return lock;
      };
      const lock = needsName ? hold() : await findAgain(hold);
      assert.equal(lock.held, true);
      throwsCode(() => lock.acquire(NOW), "EDEADLK");
      throwsCode(() => lock.tryAcquire(), "EDEADLK");
      lock.release();
      assert.equal(lock.held, false);
      throwsCode(() => lock.release(), "EOWNER");
      lock.acquire().release();
    });
  }

  for (const { name, make } of LOCAL) {
    it(`is kept while an asynchronous call holds it: ${name}`, async () => {
      const held = await (async (): Promise<Known> => {
        const { lock, other } = make();
        await lock.acquireAsync();
        return { ...drop(other), object: new WeakRef(lock) };
      })();
      await collectGarbage();
      assert.notEqual(held.object.deref(), undefined);
      const found = decode(held.handle) as Lock;
      await rejectsCode(found.acquireAsync(SOON), "ETIMEDOUT");
      throwsCode(() => found.acquire(NOW), "EDEADLK");
      assert.equal(found.tryAcquire(), undefined);
    });

    it(`is let go when no asynchronous call is left: ${name}`, async () => {
      const dropped = await several(async () => {
        const { lock, other } = make();
        const guard = await lock.acquireAsync();
        const next = lock.acquireAsync();
        guard.release();
        (await next).release();
        other.acquire();
        await rejectsCode(lock.acquireAsync(SOON), "ETIMEDOUT");
        other.release();
        return drop(lock);
      });
      await collected(dropped);
    });
  }
});

describe("a reader-writer lock", () => {
  for (const { name, type } of SHARED) {
    it(`lives as long as a side of it: ${name}`, async () => {
      const { write, handle } = ((): { write: Lock; handle: Handle } => {
        const lock = type.create(new SharedArrayBuffer(type.bytes()));
        return { write: lock.write, handle: lock.toHandle() };
      })();
      write.acquire();
      await collectGarbage();
      const found = type.fromHandle(handle);
      assert.equal(found.write, write);
      throwsCode(() => found.read.acquire(NOW), "EDEADLK");
      write.release();
      const guard = await write.acquireAsync();
      await collectGarbage();
      await rejectsCode(type.fromHandle(handle).write.acquireAsync(SOON), "ETIMEDOUT");
      guard.release();
    });

    it(`knows of the other side, whichever was held: ${name}`, async () => {
      for (const side of ["read", "write"] as const) {
        const { read, write } = await findAgain(() => {
          const lock = type.create(new SharedArrayBuffer(type.bytes()));
          lock[side].acquire();
          return lock as RwLock;
        });
        throwsCode(() => (side === "read" ? write : read).acquire(NOW), "EDEADLK");
        (side === "read" ? read : write).release();
        write.acquire().release();
        read.acquire().release();
      }
    });
  }
});

/** A wait that does not block, of an object that nobody refers to, and how it is ended. */
interface DroppedWait {
  make(): { readonly object: object & { toHandle(): Handle }; readonly wait: Promise<unknown> };
  end(object: object): unknown;
}

const WAITS: Readonly<Record<string, DroppedWait>> = {
  Semaphore: {
    make(): ReturnType<DroppedWait["make"]> {
      const object = Semaphore.create(memory(Semaphore), 0);
      return { object, wait: object.acquireAsync(1, LONG) };
    },
    end: (object) => (object as Semaphore).release(),
  },
  Latch: {
    make(): ReturnType<DroppedWait["make"]> {
      const object = Latch.create(memory(Latch), 1);
      return { object, wait: object.waitAsync(LONG) };
    },
    end: (object) => (object as Latch).countDown(),
  },
  EventCount: {
    make(): ReturnType<DroppedWait["make"]> {
      const object = EventCount.create(memory(EventCount));
      let looks = 0;
      return { object, wait: object.waitUntilAsync(() => looks++ > 1, LONG) };
    },
    end: (object) => (object as EventCount).notify(),
  },
  Condition: {
    make(): ReturnType<DroppedWait["make"]> {
      const object = Condition.create(memory(Condition));
      const lock = Mutex.create(memory(Mutex));
      const wait = async (): Promise<void> => {
        (await object.waitAsync(lock, await lock.acquireAsync(), LONG)).release();
      };
      return { object, wait: wait() };
    },
    end: (object) => (object as Condition).signal(),
  },
  Barrier: {
    make(): ReturnType<DroppedWait["make"]> {
      const object = Barrier.create(memory(Barrier), 2);
      return { object, wait: object.waitAsync(LONG) };
    },
    end: (object) => (object as Barrier).waitAsync(LONG),
  },
  Once: {
    make(): ReturnType<DroppedWait["make"]> {
      const object = Once.create(memory(Once));
      const wait = object.runAsync(() => new Promise((resolve) => runs.add(resolve)));
      return { object, wait };
    },
    async end(object) {
      const again = (object as Once).runAsync(() => {}, LONG);
      for (const end of runs) end();
      assert.equal(await again, false);
    },
  },
};
const runs = new Set<() => void>();

describe("what was dropped while an asynchronous call waits", () => {
  for (const [name, { make, end }] of Object.entries(WAITS)) {
    it(`is kept until the call has ended: ${name}`, async () => {
      const dropped = await several(async () => {
        const made = make();
        await Promise.resolve();
        return { ...drop(made.object), waits: [made.wait] };
      });
      await collectGarbage();
      for (const { object, handle, waits } of dropped) {
        assert.notEqual(object.deref(), undefined);
        await end(decode(handle) as object);
        await waits.pop();
      }
      await collected(dropped);
    });
  }
});
