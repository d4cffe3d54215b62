import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { Attachment } from "../../shared/attachment.ts";
import { LimitCore, MOST_LIMIT } from "./limit_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";

/** For whom a limited counter is made. */
export interface LimitedCounterOptions extends SyncOptions {
  /**
   * The most that a thread draws from the shared total at once, 1 to `limit`. Larger batches touch shared lines less
   * often. Default: a 64th of the limit, 1 at least and 1,024 at the most.
   */
  readonly batch?: number;
}

const KIND = defineKind<LimitedCounter, LimitedCounterOptions, [limit: number]>({
  name: "LimitedCounter",
  code: 26,
  title: "a limited counter",
  accepts: ["threads", "batch"],
  words: (shape) => LimitCore.words(shape),
  prepare({ options, action }, limit) {
    checkInteger(limit, "limit", 1, MOST_LIMIT, action);
    const { batch = Math.min(1024, Math.ceil(limit / 64)) } = options;
    checkInteger(batch, "batch", 1, limit, action);
    return (words) => LimitCore.init(words, limit, batch);
  },
});

/**
 * A quota that threads take from without meeting: the total never exceeds the limit.
 *
 * Each thread draws credit in batches and adds from that, on a cache line of its own. Close to the limit batches shrink,
 * and credit that lies with other threads, living or dead, is fetched back: an add is refused only where the total and n
 * would exceed the limit, but for the moment in which another thread moves credit.
 *
 * @example
 * ```ts
 * import { LimitedCounter } from "@numakit/numakit";
 *
 * const bytes = LimitedCounter.create(new SharedArrayBuffer(LimitedCounter.bytes()), 1_000_000);
 * if (bytes.tryAdd(4096)) { // in any thread
 *   bytes.subtract(4096);
 * }
 * ```
 */
export class LimitedCounter implements Shareable {
  /** What the total never exceeds. */
  readonly limit: number;
  readonly #core: LimitCore;
  readonly #attached: Attachment;

  private constructor(region: Region) {
    this.#core = new LimitCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    this.limit = this.#core.limit;
  }

  /**
   * Makes a counter. It is 0 at first.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode LimitedCounter.bytes} bytes.
   * @param limit What the total never exceeds: 1 to 2^30 - 1.
   * @param options For whom.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(
    memory: SyncMemory,
    limit: number,
    options: LimitedCounterOptions = {},
  ): LimitedCounter {
    return KIND.create(memory, options, limit);
  }

  /**
   * How much memory a counter takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LimitedCounterOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live counter of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode LimitedCounter.toHandle} gave in any thread of this process.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` for anything else than a handle; `ESTALE` when its memory is gone; `EAGAIN` when this
   * thread is one too many.
   */
  static fromHandle(handle: Handle): LimitedCounter {
    return KIND.attach(handle);
  }

  /**
   * Adds, unless the total would exceed the limit.
   *
   * Cost: one atomic operation on a line that no other thread writes; once a batch about twelve on shared lines.
   *
   * @param n 1 to `limit`. Default: 1.
   * @returns Whether it did.
   * @throws {NumaError} `EINVAL`, `EDESTROYED`.
   */
  tryAdd(n = 1): boolean {
    this.#attached.check("add to");
    checkInteger(n, "the number to add", 1, this.limit, "add to a limited counter");
    return this.#core.tryAdd(this.#attached.me, n);
  }

  /**
   * Takes back what was added, by any thread.
   *
   * @param n 1 to `limit`, and no more than was added: what is too much is noticed only where it exceeds two batches.
   * Default: 1.
   * @throws {NumaError} `EOWNER` it is seen to be more than was added; `EINVAL`, `EDESTROYED`.
   */
  subtract(n = 1): void {
    this.#attached.check("subtract from");
    const action = "subtract from a limited counter";
    checkInteger(n, "the number to subtract", 1, this.limit, action);
    if (this.#core.sub(this.#attached.me, n)) return;
    throw new NumaError("EOWNER", action, {
      why: `${n} is more than what was added`,
      fix: "Take back what tryAdd() added, once.",
    });
  }

  /**
   * The total.
   *
   * @returns 0 to `limit`; exact when no thread is adding.
   * @throws {NumaError} `EDESTROYED`.
   */
  value(): number {
    this.#attached.check("read");
    return this.#core.value();
  }

  /**
   * How another thread finds the counter. Arguments and results of threads turn it into a live counter there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  static {
    KIND.register(LimitedCounter, (region) => new LimitedCounter(region));
  }
}
