import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import { Turns } from "../../wait/turns.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { MAX_PERMITS, SemaphoreCore } from "./semaphore_core.ts";
import { settleIn, waitsTenant } from "../../shared/tenancy.ts";

/** Options of a {@linkcode Semaphore}. */
export interface SemaphoreOptions extends SyncOptions {
  /** The maximum number of permits; releasing more is an error. Default: the initial number, and at least 1. */
  readonly maxPermits?: number;
}

const KIND = /* @__PURE__ */ defineKind<Semaphore, SemaphoreOptions, [permits: number]>({
  name: "Semaphore",
  code: 22,
  title: "a semaphore",
  accepts: ["threads", "maxPermits"],
  words: (shape) => SemaphoreCore.words(shape),
  prepare({ options, action }, permits) {
    checkInteger(permits, "permits", 0, MAX_PERMITS, action);
    const least = Math.max(1, permits);
    const max = checkInteger(options.maxPermits ?? least, "maxPermits", least, MAX_PERMITS, action);
    return (words) => SemaphoreCore.init(words, permits, max, BYPASS);
  },
});
const ACQUIRE = "acquire a semaphore";
/** How often sleepers may be overtaken. */
const BYPASS = 64;

/**
 * A number of permits that threads acquire and release.
 *
 * A thread that asks while there are enough permits gets them, even if others wait; but a waiter is overtaken 64 times
 * at most. Waiters are served in the order in which they went to sleep, whatever number they need, so a thread that
 * needs many permits is not starved by threads that need few. Permits have no owner: any thread may release them, and
 * the permits of a dead thread stay acquired.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    Semaphore,
    (region) => new Semaphore(region),
  );
  readonly #core: SemaphoreCore;
  readonly #attached: Attachment;
  readonly #turns = new Turns();

  private constructor(region: Region) {
    this.#core = new SemaphoreCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    settleIn(this, region, "waits", waitsTenant(this.#turns));
  }

  /**
   * Creates a semaphore.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode Semaphore.bytes} bytes.
   * @param permits The initial number of permits: 0 to 2^29 - 1.
   * @param options The maximum number of threads, and other options.
   * @returns The semaphore.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, permits: number, options: SemaphoreOptions = {}): Semaphore {
    return Semaphore.#kind.create(memory, options, permits);
  }

  /**
   * Returns how much memory a semaphore needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SemaphoreOptions = {}): number {
    return Semaphore.#kind.bytes(options);
  }

  /**
   * Returns the live semaphore of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Semaphore.toHandle}, made in any thread of this process.
   * @returns The semaphore.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Semaphore {
    return Semaphore.#kind.attach(handle);
  }

  /**
   * Acquires permits, and sleeps until there are enough.
   *
   * @param n The number of permits, at most `maxPermits`. Default: 1.
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is
   * being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  acquire(n?: number, options?: BlockOptions): void;
  /**
   * Acquires one permit, and sleeps until there is one.
   *
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} As above.
   */
  acquire(options: BlockOptions): void;
  acquire(first: number | BlockOptions = 1, second?: BlockOptions): void {
    this.#attached.check("acquire");
    const core = this.#core;
    const me = this.#attached.me;
    const n = typeof first === "object" ? 1 : first;
    let options = typeof first === "object" ? first : second;
    this.#check(n, ACQUIRE);
    if (options !== undefined) options = checkBlockOptions(options, ACQUIRE);
    if (core.begin(me, n)) return;
    // What it is given while this thread sleeps would be of no use to anybody.
    this.#turns.withdraw();
    block(core.wait(me, n), me, ACQUIRE, options);
  }

  /**
   * Acquires permits if there are enough now.
   *
   * @param n The number of permits, at most `maxPermits`. Default: 1.
   * @returns Whether it succeeded.
   * @throws {NumaError} `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  tryAcquire(n = 1): boolean {
    this.#attached.check("acquire");
    this.#check(n, ACQUIRE);
    return this.#core.tryAcquire(this.#attached.me, n);
  }

  /**
   * Acquires permits without blocking the thread. Such calls of a thread are served in their order; there can be any
   * number of them.
   *
   * @param n The number of permits, at most `maxPermits`. Default: 1.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when the permits are acquired.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed, or was
   * during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  acquireAsync(n?: number, options?: AsyncWaitOptions): Promise<void>;
  /**
   * Acquires one permit without blocking the thread.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when the permit is acquired.
   * @throws {NumaError} As above. The signal's reason if it aborts.
   */
  acquireAsync(options: AsyncWaitOptions): Promise<void>;
  async acquireAsync(
    first: number | AsyncWaitOptions = 1,
    second?: AsyncWaitOptions,
  ): Promise<void> {
    this.#attached.check("acquire");
    const n = typeof first === "object" ? 1 : first;
    const options = typeof first === "object" ? first : second;
    this.#check(n, ACQUIRE);
    const core = this.#core;
    const request: AsyncRequest<boolean> = {
      action: ACQUIRE,
      ...this.#attached.guards("acquire", ACQUIRE),
      begin: (me) => core.begin(me, n) || undefined,
      wait: (me) => core.wait(me, n),
      failed: (result) => !result,
      undo: (me) => core.release(me, n),
    };
    await this.#turns.pass(this, request, options);
    this.#attached.check("acquire");
  }

  /**
   * Releases permits, or adds some.
   *
   * @param n The number of permits. Default: 1.
   * @throws {NumaError} `EOWNER` there would be more than there can be; `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  release(n = 1): void {
    this.#attached.check("release");
    const action = "release a semaphore";
    this.#check(n, action);
    if (this.#core.release(this.#attached.me, n)) return;
    throw new NumaError("EOWNER", action, {
      why: `with ${n} more it would have more than ${this.#core.maxPermits} permits`,
      fix: "Release what was acquired, once; or make it with a larger `maxPermits`.",
    });
  }

  /**
   * The number of permits at this moment.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get available(): number {
    this.#attached.check("read");
    return this.#core.available();
  }

  /**
   * Returns a handle with which another thread finds the semaphore. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  #check(n: unknown, action: string): void {
    checkInteger(n, "the number of permits", 1, this.#core.maxPermits, action);
  }
}
