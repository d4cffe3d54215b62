import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { EpochCore } from "./epoch_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { checkAlive, holdsTenant, settleIn } from "../../shared/tenancy.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { currentWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";

const KIND = /* @__PURE__ */ defineKind<Epoch>({
  name: "Epoch",
  code: 43,
  title: "an epoch",
  accepts: ["threads"],
  words: (shape) => EpochCore.words(shape),
});

/**
 * Determines when memory that was removed from a shared structure can be reused: when no thread can still access it.
 *
 * Threads access the structure between {@linkcode Epoch.enter} and {@linkcode Epoch.exit}, which cost one store each,
 * in a line of the thread's own. A thread that removes something records the {@linkcode Epoch.current} epoch with it,
 * calls {@linkcode Epoch.advance} from time to time, and reuses the memory once it is {@linkcode Epoch.safe}.
 *
 * A thread that sleeps between the two prevents all reuse; a thread that died, or destroyed the arena of the epoch,
 * does not.
 *
 * @example
 * ```ts
 * import { Epoch } from "@numakit/numakit";
 *
 * const epoch = Epoch.create(new SharedArrayBuffer(Epoch.bytes()));
 * epoch.enter(); // a reader
 * // … look at the structure …
 * epoch.exit();
 *
 * const retired = { offset: 4096, at: epoch.current }; // after it was unlinked
 * while (!epoch.safe(retired.at)) epoch.advance(); // then no thread can access it
 * ```
 */
export class Epoch implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(Epoch, (region) => new Epoch(region));
  readonly #core: EpochCore;
  readonly #region: Region;
  readonly #me: ThreadWaiter;

  private constructor(region: Region) {
    this.#core = new EpochCore(region.words, region.shape);
    this.#region = region;
    this.#me = currentWaiter();
    settleIn(this, region, "reader", tenantOf(this.#core, region.words, this.#me));
  }

  /**
   * Creates an epoch that no thread has entered.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode Epoch.bytes} bytes.
   * @param options Options of the epoch. Each thread needs 128 bytes.
   * @returns The epoch.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): Epoch {
    return Epoch.#kind.create(memory, options);
  }

  /**
   * Returns how much memory it needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return Epoch.#kind.bytes(options);
  }

  /**
   * Returns the live epoch of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Epoch.toHandle}, made in any thread of this process.
   * @returns The epoch.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Epoch {
    return Epoch.#kind.attach(handle);
  }

  /**
   * Begins an access to structures. Calls may nest. Cost: one store.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  enter(): void {
    checkAlive(this.#region, "enter an epoch");
    this.#core.enter(this.#me);
  }

  /**
   * Ends the access that {@linkcode Epoch.enter} began. Cost: one store.
   *
   * @throws {NumaError} `EOWNER` there is nothing to end; `EDESTROYED` its arena is destroyed.
   */
  exit(): void {
    checkAlive(this.#region, "exit an epoch");
    if (this.#core.exit(this.#me)) return;
    throw new NumaError("EOWNER", "exit an epoch", {
      why: "this thread has not entered it, or has left it already",
      fix: "Call exit once for each enter.",
    });
  }

  /**
   * Declares that this thread holds no reference to what it has accessed so far, for a thread that stays between
   * `enter` and `exit` for long. Does nothing outside of them, or if the thread has entered more than once. Cost: a
   * load, and a store if the epoch has advanced.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  quiescent(): void {
    checkAlive(this.#region, "pass through an epoch");
    this.#core.quiescent(this.#me);
  }

  /**
   * The epoch, to be recorded with what has just been removed from a structure.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get current(): number {
    checkAlive(this.#region, "read an epoch");
    return this.#core.epoch();
  }

  /**
   * Whether memory that was removed can be reused. Cost: a load.
   *
   * @param epoch The value of {@linkcode Epoch.current} after the removal: a 32-bit integer.
   * @returns Whether no thread can access it any more.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` its arena is destroyed.
   */
  safe(epoch: number): boolean {
    checkInteger(epoch, "epoch", -(2 ** 31), 2 ** 31 - 1, "compare epochs");
    checkAlive(this.#region, "read an epoch");
    return this.#core.safe(epoch);
  }

  /**
   * Advances the epoch if all threads between `enter` and `exit` have seen the current one. Cost: at most two loads for
   * each thread that has ever entered, so call it once for many removals.
   *
   * @returns Whether it has advanced.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  advance(): boolean {
    checkAlive(this.#region, "advance an epoch");
    return this.#core.advance(this.#me) === 0;
  }

  /**
   * Returns a handle with which another thread finds it. Arguments and results of threads are converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }
}

/** A thread that can no longer say that it looks at nothing looks at nothing. */
function tenantOf(core: EpochCore, words: Int32Array, me: ThreadWaiter): Tenant {
  return holdsTenant(words, () => core.entered(me), () => {
    while (core.exit(me));
  });
}
