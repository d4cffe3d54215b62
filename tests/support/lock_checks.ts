/** What every lock does, in memory of one process or of several: checks that tests of both make. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { throwsCode } from "./errors.ts";
import type { AnyLock } from "./locks.ts";

/** A thread holds a lock once, and gives it back once. */
export function checkHeldByOne(lock: AnyLock): void {
  assert.equal(lock.held, false);
  {
    using guard = lock.acquire();
    assert.equal(guard.ownerDied, false);
    assert.equal(lock.held, true);
    throwsCode(() => lock.acquire(), "EDEADLK");
    throwsCode(() => lock.tryAcquire(), "EDEADLK");
  }
  assert.equal(lock.held, false);
  throwsCode(() => lock.release(), "EOWNER");
  const guard = lock.tryAcquire();
  assert.ok(guard);
  guard.release();
  guard.release();
  assert.equal(lock.held, false);
}

/** Of ten asynchronous waits of this thread, one has a lock at a time. */
export async function checkExcludesAsync(lock: AnyLock): Promise<void> {
  let inside = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 10 }, async () => {
    using _guard = await lock.acquireAsync();
    most = Math.max(most, ++inside);
    await sleep(1);
    inside--;
  }));
  assert.equal(most, 1);
}
