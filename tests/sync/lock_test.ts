import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Lock } from "../../lib/sync/locks/lock.ts";
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import { createRegion } from "../../lib/shared/region.ts";
import type { Wait, Waiter } from "../../lib/wait/waiter.ts";
import { throwsCode } from "../support/errors.ts";

/** A lock whose owner is found dead by the first wait that is told to end. */
class Inherited implements LockCore {
  released = 0;
  #owner: number | undefined;

  tryAcquire(): boolean {
    return false;
  }

  begin(): boolean {
    return false;
  }

  *wait(me: Waiter): Wait<boolean> {
    while (!(yield 1000));
    this.#owner ??= me.id;
    return this.#owner === me.id;
  }

  release(me: Waiter): boolean {
    if (this.#owner !== me.id) return false;
    this.#owner = undefined;
    this.released++;
    return true;
  }

  holds(me: Waiter): boolean {
    return this.#owner === me.id;
  }

  ownerDied(): boolean {
    return this.#owner !== undefined;
  }
}

class AnyLock extends Lock {
  constructor(core: LockCore) {
    const kind = { name: "lock_test", title: "a lock", code: 98, words: () => 16 };
    const region = createRegion(kind, new SharedArrayBuffer(4096), {}, "test a lock");
    super({ title: "a lock", core: () => core }, region);
  }
}

describe("Lock", () => {
  it("keeps what a wait has from a dead owner when its thread is about to sleep", async () => {
    const core = new Inherited();
    const lock = new AnyLock(core);
    const wait = lock.acquireAsync();
    // Given back without a word it would be poisoned.
    throwsCode(() => lock.acquire({ block: true, timeoutMs: 100 }), "EDEADLK");
    assert.equal(core.released, 0);
    const guard = await wait;
    assert.equal(guard.ownerDied, true);
    guard.release();
    assert.equal(core.released, 1);
  });
});
