import { checkInteger } from "../../base/check.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import { Turns } from "../../wait/turns.ts";
import { Attachment } from "../../shared/attachment.ts";
import { LatchCore, MAX_COUNT } from "./latch_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { settleIn, waitsTenant } from "../../shared/tenancy.ts";

const KIND = /* @__PURE__ */ defineKind<Latch, SyncOptions, [count: number]>({
  name: "Latch",
  code: 24,
  title: "a latch",
  accepts: ["threads"],
  words: (shape) => LatchCore.words(shape),
  prepare({ action }, count) {
    checkInteger(count, "count", 0, MAX_COUNT, action);
    return (words) => LatchCore.init(words, count);
  },
});
const WAIT = "wait for a latch";

/**
 * A gate that opens permanently when it has been counted down: "all workers are ready", "the work is done".
 *
 * A latch does not know which threads will count it down, so it cannot detect their death. Use a timeout where that
 * matters.
 *
 * @example
 * ```ts
 * import { Latch } from "@numakit/numakit";
 *
 * const ready = Latch.create(new SharedArrayBuffer(Latch.bytes()), 2);
 * ready.countDown(); // each in a thread of its own
 * ready.countDown();
 * ready.wait(); // in any thread
 * ```
 */
export class Latch implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(Latch, (region) => new Latch(region));
  readonly #core: LatchCore;
  readonly #attached: Attachment;
  readonly #turns = new Turns();
  readonly #request: AsyncRequest<boolean>;

  private constructor(region: Region) {
    this.#core = new LatchCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    this.#request = requestOf(this.#core, this.#attached);
    settleIn(this, region, "waits", waitsTenant(this.#turns));
  }

  /**
   * Creates a latch.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode Latch.bytes} bytes.
   * @param count The initial count: 0 (an open latch) to 2^29 - 1.
   * @param options The maximum number of threads, and other options.
   * @returns The latch.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, count: number, options: SyncOptions = {}): Latch {
    return Latch.#kind.create(memory, options, count);
  }

  /**
   * Returns how much memory a latch needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return Latch.#kind.bytes(options);
  }

  /**
   * Returns the live latch of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Latch.toHandle}, made in any thread of this process.
   * @returns The latch.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Latch {
    return Latch.#kind.attach(handle);
  }

  /**
   * Counts down. At 0 the latch opens, and stays open.
   *
   * @param n The number to subtract. Default: 1.
   * @returns The remaining count.
   * @throws {NumaError} `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  countDown(n = 1): number {
    this.#attached.check("count down");
    checkInteger(n, "the number to count", 1, MAX_COUNT, "count down a latch");
    return this.#core.countDown(this.#attached.me, n);
  }

  /**
   * The remaining count; 0 if the latch is open.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get count(): number {
    this.#attached.check("read");
    return this.#core.left();
  }

  /**
   * Sleeps until the latch is open.
   *
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is
   * being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  wait(options?: BlockOptions): void {
    this.#attached.check("wait for");
    const core = this.#core;
    const me = this.#attached.me;
    if (options !== undefined) options = checkBlockOptions(options, WAIT);
    // Not through the request: an open latch takes 6 ns on Bun this way, and 10 that way.
    if (!core.begin(me)) block(core.wait(me), me, WAIT, options);
  }

  /**
   * Waits until the latch is open, without blocking the thread. There can be any number of such waits.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when the latch is open.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed, or was
   * during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<void> {
    this.#attached.check("wait for");
    // The next one finds it open.
    await this.#turns.pass(this, this.#request, options);
  }

  /**
   * Returns a handle with which another thread finds the latch. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }
}

/** What asynchronous waits want: the first waits for all of this thread. */
function requestOf(core: LatchCore, attached: Attachment): AsyncRequest<boolean> {
  return {
    action: WAIT,
    ...attached.guards("wait for", WAIT),
    begin: (me) => core.begin(me) || undefined,
    wait: (me) => core.wait(me),
    failed: (result) => !result,
    undo: () => true,
  };
}
