import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { Attachment } from "../../shared/attachment.ts";
import { LimitCore, MAX_LIMIT } from "./limit_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";

/** Options of a {@linkcode LimitedCounter}. */
export interface LimitedCounterOptions extends SyncOptions {
  /**
   * The maximum that a thread takes from the shared total at once: 1 to `limit`. Larger batches touch shared cache
   * lines less often. Default: a 64th of the limit, at least 1 and at most 1,024.
   */
  readonly batch?: number;
}

const KIND = /* @__PURE__ */ defineKind<LimitedCounter, LimitedCounterOptions, [limit: number]>({
  name: "LimitedCounter",
  code: 26,
  title: "a limited counter",
  accepts: ["threads", "batch"],
  words: (shape) => LimitCore.words(shape),
  prepare({ options, action }, limit) {
    checkInteger(limit, "limit", 1, MAX_LIMIT, action);
    const { batch = Math.min(1024, Math.ceil(limit / 64)) } = options;
    checkInteger(batch, "batch", 1, limit, action);
    return (words) => LimitCore.init(words, limit, batch);
  },
});

/**
 * A quota that many threads take from, mostly without touching shared cache lines. The total never exceeds the limit.
 *
 * Each thread takes credit in batches, and adds from that on a cache line of its own. Close to the limit, batches
 * shrink, and credit of other threads, live or dead, is taken back. An add is refused only if it would exceed the
 * limit, except during the moment in which another thread moves credit.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    LimitedCounter,
    (region) => new LimitedCounter(region),
  );
  /** The limit, which the total never exceeds. */
  readonly limit: number;
  readonly #core: LimitCore;
  readonly #attached: Attachment;

  private constructor(region: Region) {
    this.#core = new LimitCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    this.limit = this.#core.limit;
  }

  /**
   * Creates a counter with the value 0.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode LimitedCounter.bytes}
   * bytes.
   * @param limit The limit: 1 to 2^30 - 1.
   * @param options The maximum number of threads, and other options.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(
    memory: SyncMemory,
    limit: number,
    options: LimitedCounterOptions = {},
  ): LimitedCounter {
    return LimitedCounter.#kind.create(memory, options, limit);
  }

  /**
   * Returns how much memory a counter needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LimitedCounterOptions = {}): number {
    return LimitedCounter.#kind.bytes(options);
  }

  /**
   * Returns the live counter of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode LimitedCounter.toHandle}, made in any thread of this process.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` if it is not such a handle; `ESTALE` if its memory no longer exists; `EAGAIN` if this
   * thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): LimitedCounter {
    return LimitedCounter.#kind.attach(handle);
  }

  /**
   * Adds to the counter, unless the total would exceed the limit.
   *
   * Cost: one atomic operation on a line that no other thread writes; for each batch, about twelve on shared lines.
   *
   * @param n 1 to `limit`. Default: 1.
   * @returns Whether it succeeded.
   * @throws {NumaError} `EINVAL`, `EDESTROYED`.
   */
  tryAdd(n = 1): boolean {
    this.#attached.check("add to");
    checkInteger(n, "the number to add", 1, this.limit, "add to a limited counter");
    return this.#core.tryAdd(this.#attached.me, n);
  }

  /**
   * Subtracts what was added before, by any thread.
   *
   * @param n 1 to `limit`, and no more than was added. An excess is detected only if it is more than two batches.
   * Default: 1.
   * @throws {NumaError} `EOWNER` it is more than was added; `EINVAL`, `EDESTROYED`.
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
   * @returns 0 to `limit`; exact if no thread is adding.
   * @throws {NumaError} `EDESTROYED`.
   */
  value(): number {
    this.#attached.check("read");
    return this.#core.value();
  }

  /**
   * Returns a handle with which another thread finds the counter. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }
}
