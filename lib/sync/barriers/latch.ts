import { checkInteger } from "../../base/check.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions } from "../../wait/block.ts";
import type { BlockOptions, WaitOptions } from "../../wait/options.ts";
import { type Request, Turns } from "../../wait/turns.ts";
import { Attachment } from "../../shared/attachment.ts";
import { LatchCore, MOST_COUNT } from "./latch_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { settleIn, waitsTenant } from "../../shared/tenancy.ts";

const KIND = defineKind<Latch, SyncOptions, [count: number]>({
  name: "Latch",
  code: 24,
  title: "a latch",
  accepts: ["threads"],
  words: (shape) => LatchCore.words(shape),
  prepare({ action }, count) {
    checkInteger(count, "count", 0, MOST_COUNT, action);
    return (words) => LatchCore.init(words, count);
  },
});
const WAIT = "wait for a latch";

/**
 * A gate that opens for good when it has been counted down: "all workers are ready", "the work is done".
 *
 * It does not know who is to count it down, and so cannot tell when they are dead: give waits a timeout where that
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
  readonly #core: LatchCore;
  readonly #attached: Attachment;
  readonly #turns = new Turns();
  readonly #request: Request<boolean>;

  private constructor(region: Region) {
    this.#core = new LatchCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    this.#request = requestOf(this.#core, this.#attached);
    settleIn(this, region, "waits", waitsTenant(this.#turns));
  }

  /**
   * Makes a latch.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode Latch.bytes} bytes.
   * @param count What has to be counted down: 0, for an open one, to 2^29 - 1.
   * @param options For whom.
   * @returns The latch.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, count: number, options: SyncOptions = {}): Latch {
    return KIND.create(memory, options, count);
  }

  /**
   * How much memory a latch takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live latch of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Latch.toHandle} gave in any thread of this process.
   * @returns The latch.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake; `ESTALE`
   * when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): Latch {
    return KIND.attach(handle);
  }

  /**
   * Counts down. At 0 it is open, and stays so.
   *
   * @param n By how much. Default: 1.
   * @returns What is left.
   * @throws {NumaError} `EDESTROYED` its arena is; `EINVAL`.
   */
  countDown(n = 1): number {
    this.#attached.check("count down");
    checkInteger(n, "the number to count", 1, MOST_COUNT, "count down a latch");
    return this.#core.countDown(this.#attached.me, n);
  }

  /**
   * What is left to count; 0 when it is open.
   *
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  get count(): number {
    this.#attached.check("read");
    return this.#core.left();
  }

  /**
   * Sleeps until it is open.
   *
   * @param options How long to wait, and whether to block the main thread.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` it would block the main thread; `ETERMINATED` this thread is to end;
   * `EDESTROYED` its arena is; `EINVAL`.
   */
  wait(options?: BlockOptions): void {
    this.#attached.check("wait for");
    const core = this.#core;
    const me = this.#attached.me;
    if (options !== undefined) options = checkBlockOptions(options, WAIT);
    if (!core.begin(me)) block(core.wait(me), me, WAIT, options);
  }

  /**
   * Waits until it is open without blocking the thread. There may be any number of such waits.
   *
   * @param options How long to wait.
   * @returns Resolves when it is open.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than it was made for; `EDESTROYED` its arena is, or was
   * meanwhile; `EINVAL`. The signal's reason when that aborts.
   */
  async waitAsync(options?: WaitOptions): Promise<void> {
    this.#attached.check("wait for");
    const entered = this.#turns.enter(this.#request, options);
    if (entered instanceof Promise) await entered;
    // The next one finds it open.
    this.#turns.leave();
  }

  /**
   * How another thread finds the latch. Arguments and results of threads turn it into a live latch there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  static {
    KIND.register(Latch, (region) => new Latch(region));
  }
}

/** What asynchronous waits want: the first waits for all of this thread. */
function requestOf(core: LatchCore, attached: Attachment): Request<boolean> {
  return {
    action: WAIT,
    start(me) {
      attached.admit(me, WAIT);
      return core.begin(me) ? undefined : attached.watch(core.wait(me), "wait for");
    },
    failed: (result) => !result,
    undo: () => true,
  };
}
