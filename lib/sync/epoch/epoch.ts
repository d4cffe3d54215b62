import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { EpochCore } from "./epoch_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { currentWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";

const KIND = defineKind<Epoch>({
  name: "Epoch",
  code: 43,
  title: "an epoch",
  accepts: ["threads"],
  words: (shape) => EpochCore.words(shape),
});

/**
 * Tells when memory that was taken out of a shared structure can be used again: when no thread can still look at it.
 *
 * Threads look at the structure between {@linkcode Epoch.enter} and {@linkcode Epoch.exit}, which costs one store
 * each, in a line of the thread's own. A thread that takes something out notes the {@linkcode Epoch.current} epoch
 * with it, calls {@linkcode Epoch.advance} now and then, and uses it again once it is {@linkcode Epoch.safe}.
 *
 * A thread that sleeps inside holds up everybody's memory; one that died, or destroyed the arena of the epoch, does not.
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
 * while (!epoch.safe(retired.at)) epoch.advance(); // then nobody looks at it any more
 * ```
 */
export class Epoch implements Shareable {
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
   * Makes one.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode Epoch.bytes} bytes.
   * @param options For whom: each thread takes 128 bytes.
   * @returns The epoch.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena
   * that another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): Epoch {
    return KIND.create(memory, options);
  }

  /**
   * How much memory one takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live epoch of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Epoch.toHandle} gave in any thread of this process.
   * @returns The epoch.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake;
   * `ESTALE` when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): Epoch {
    return KIND.attach(handle);
  }

  /**
   * Begins to look at structures. May nest. Cost: one store.
   *
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  enter(): void {
    if (this.#region.words.length === 0) refuseDestroyed("enter an epoch");
    this.#core.enter(this.#me);
  }

  /**
   * Ends what {@linkcode Epoch.enter} began. Cost: one store.
   *
   * @throws {NumaError} `EOWNER` there is nothing to end; `EDESTROYED` its arena is.
   */
  exit(): void {
    if (this.#region.words.length === 0) refuseDestroyed("exit an epoch");
    if (this.#core.exit(this.#me)) return;
    throw new NumaError("EOWNER", "exit an epoch", {
      why: "this thread has not entered it, or has left it already",
      fix: "Call exit once for each enter.",
    });
  }

  /**
   * For a thread that stays inside for long: says that it remembers nothing of what it has looked at. Does nothing
   * outside, or when it has entered more than once. Cost: a load, and a store when the epoch has moved.
   *
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  quiescent(): void {
    if (this.#region.words.length === 0) refuseDestroyed("pass through an epoch");
    this.#core.quiescent(this.#me);
  }

  /**
   * The epoch, to be noted with what has just been taken out of a structure.
   *
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  get current(): number {
    if (this.#region.words.length === 0) refuseDestroyed("read an epoch");
    return this.#core.epoch();
  }

  /**
   * Whether what was taken out can be used again. Cost: a load.
   *
   * @param epoch What {@linkcode Epoch.current} was after it was taken out: a 32-bit integer.
   * @returns Whether nobody can look at it any more.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` its arena is.
   */
  safe(epoch: number): boolean {
    checkInteger(epoch, "epoch", -(2 ** 31), 2 ** 31 - 1, "compare epochs");
    if (this.#region.words.length === 0) refuseDestroyed("read an epoch");
    return this.#core.safe(epoch);
  }

  /**
   * Moves the epoch on, if all threads that are inside have seen it. Cost: at most two loads for each thread that has
   * ever entered, so call it once for many things that were taken out.
   *
   * @returns Whether it has moved.
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  advance(): boolean {
    if (this.#region.words.length === 0) refuseDestroyed("advance an epoch");
    return this.#core.advance(this.#me) === 0;
  }

  /**
   * How another thread finds it. Arguments and results of threads turn it into a live one there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }

  static {
    KIND.register(Epoch, (region) => new Epoch(region));
  }
}

function refuseDestroyed(action: string): never {
  throw new NumaError("EDESTROYED", action, {
    why: "its memory is gone",
    fix: "Destroy the arena last.",
  });
}

/** A thread that can no longer say that it looks at nothing looks at nothing. */
function tenantOf(core: EpochCore, words: Int32Array, me: ThreadWaiter): Tenant {
  return {
    holds: () => false,
    endWaits: () => {},
    abandon(): void {
      if (words.length > 0) { while (core.exit(me)); }
    },
  };
}
