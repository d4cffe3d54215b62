import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions } from "../../wait/block.ts";
import type { BlockOptions, WaitOptions } from "../../wait/options.ts";
import { type Request, Turns } from "../../wait/turns.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { MOST_PERMITS, SemaphoreCore } from "./semaphore_core.ts";
import { settleIn, waitsTenant } from "../../shared/tenancy.ts";

/** For whom a semaphore is made. */
export interface SemaphoreOptions extends SyncOptions {
  /** How many permits there can be: to release more is an error. Default: as many as at first, and at least 1. */
  readonly most?: number;
}

const KIND = defineKind<Semaphore, SemaphoreOptions, [permits: number]>({
  name: "Semaphore",
  code: 22,
  title: "a semaphore",
  accepts: ["threads", "most"],
  words: (shape) => SemaphoreCore.words(shape),
  prepare({ options, action }, permits) {
    checkInteger(permits, "permits", 0, MOST_PERMITS, action);
    const least = Math.max(1, permits);
    const most = checkInteger(options.most ?? least, "most", least, MOST_PERMITS, action);
    return (words) => SemaphoreCore.init(words, permits, most, BYPASS);
  },
});
/** How often sleepers may be overtaken. */
const BYPASS = 64;

/**
 * A number of permits that threads take and give back.
 *
 * A thread that asks when there are enough takes them, also when others wait; but those are overtaken 64 times at the
 * most. They are served in the order in which they went to sleep, whatever they need: a thread that needs many is not
 * starved by many that need few. Permits have no owner: any thread may give them back, and those of a dead thread stay
 * taken.
 *
 * Properties: bounded barging, fair to sleepers, abortable; 2 atomic operations to acquire, 2 to release.
 *
 * @example
 * ```ts
 * import { Semaphore } from "@numakit/numakit";
 *
 * const connections = Semaphore.create(new SharedArrayBuffer(Semaphore.bytes()), 4);
 * connections.acquire(); // in any thread
 * try {
 *   console.log(connections.available); // 3
 * } finally {
 *   connections.release();
 * }
 * ```
 */
export class Semaphore implements Shareable {
  readonly #core: SemaphoreCore;
  readonly #attached: Attachment;
  readonly #turns = new Turns();

  private constructor(region: Region) {
    this.#core = new SemaphoreCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    settleIn(this, region, "waits", waitsTenant(this.#turns));
  }

  /**
   * Makes a semaphore.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode Semaphore.bytes} bytes.
   * @param permits How many permits there are at first: 0 to 2^29 - 1.
   * @param options For whom.
   * @returns The semaphore.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, permits: number, options: SemaphoreOptions = {}): Semaphore {
    return KIND.create(memory, options, permits);
  }

  /**
   * How much memory a semaphore takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SemaphoreOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live semaphore of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Semaphore.toHandle} gave in any thread of this process.
   * @returns The semaphore.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake; `ESTALE`
   * when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): Semaphore {
    return KIND.attach(handle);
  }

  /**
   * Takes permits; sleeps until there are enough.
   *
   * @param n How many, no more than there can be. Default: 1.
   * @param options How long to wait, and whether to block the main thread.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` it would block the main thread; `ETERMINATED` this thread is to end;
   * `EDESTROYED` its arena is; `EINVAL`.
   */
  acquire(n = 1, options?: BlockOptions): void {
    this.#attached.check("acquire");
    const action = "acquire a semaphore";
    const core = this.#core;
    const me = this.#attached.me;
    this.#check(n, action);
    if (options !== undefined) options = checkBlockOptions(options, action);
    if (core.begin(me, n)) return;
    // What it is given while this thread sleeps would be of no use to anybody.
    this.#turns.withdraw();
    block(core.wait(me, n), me, action, options);
  }

  /**
   * Takes permits if there are enough now.
   *
   * @param n How many, no more than there can be. Default: 1.
   * @returns Whether it did.
   * @throws {NumaError} `EDESTROYED` its arena is; `EINVAL`.
   */
  tryAcquire(n = 1): boolean {
    this.#attached.check("acquire");
    this.#check(n, "acquire a semaphore");
    return this.#core.tryAcquire(this.#attached.me, n);
  }

  /**
   * Takes permits without blocking the thread, which goes on with other work meanwhile. Such waits of a thread are served
   * in their order; there may be any number of them.
   *
   * @param n How many, no more than there can be. Default: 1.
   * @param options How long to wait.
   * @returns Resolves with the permits.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than it was made for; `EDESTROYED` its arena is, or was
   * meanwhile; `EINVAL`. The signal's reason when that aborts.
   */
  async acquireAsync(n = 1, options?: WaitOptions): Promise<void> {
    this.#attached.check("acquire");
    const action = "acquire a semaphore";
    const core = this.#core;
    this.#check(n, action);
    const attached = this.#attached;
    const request: Request<boolean> = {
      action,
      start(me) {
        attached.admit(me, action);
        return core.begin(me, n) ? undefined : attached.watch(core.wait(me, n), "acquire");
      },
      failed: (result) => !result,
      undo: (me) => core.release(me, n),
    };
    const entered = this.#turns.enter(request, options);
    if (entered instanceof Promise) await entered;
    this.#turns.leave();
    this.#attached.check("acquire");
  }

  /**
   * Gives permits back, or adds some.
   *
   * @param n How many. Default: 1.
   * @throws {NumaError} `EOWNER` there would be more than there can be; `EDESTROYED` its arena is; `EINVAL`.
   */
  release(n = 1): void {
    this.#attached.check("release");
    const action = "release a semaphore";
    this.#check(n, action);
    if (this.#core.release(this.#attached.me, n)) return;
    throw new NumaError("EOWNER", action, {
      why: `with ${n} more it would have more than ${this.#core.most} permits`,
      fix: "Release what was acquired, once; or make it with a larger `most`.",
    });
  }

  /**
   * How many permits there are at this moment.
   *
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  get available(): number {
    this.#attached.check("read");
    return this.#core.available();
  }

  /**
   * How another thread finds the semaphore. Arguments and results of threads turn it into a live semaphore there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  #check(n: unknown, action: string): void {
    checkInteger(n, "the number of permits", 1, this.#core.most, action);
  }

  static {
    KIND.register(Semaphore, (region) => new Semaphore(region));
  }
}
