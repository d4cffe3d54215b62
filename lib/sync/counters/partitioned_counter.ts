import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { CounterCore, type PartitionedCounterShards } from "./counter_core.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";

export type { PartitionedCounterShards } from "./counter_core.ts";

/** Options of a {@linkcode PartitionedCounter}. */
export interface PartitionedCounterOptions extends SyncOptions {
  /**
   * What has a cache line of its own. `"thread"`: no line is written by two threads. `"domain"`: one line for each L3
   * domain, if there are too many threads for a line each. Default: `"thread"`.
   */
  readonly shards?: PartitionedCounterShards;
}

const KIND = /* @__PURE__ */ defineKind<PartitionedCounter, PartitionedCounterOptions>({
  name: "PartitionedCounter",
  code: 20,
  title: "a counter",
  accepts: ["threads", "shards"],
  option: optionOf,
  words: (shape, option) => CounterCore.words(shape, shardsOf(option)),
});

function shardsOf(option: number): PartitionedCounterShards {
  return option === 1 ? "domain" : "thread";
}

/** The number that {@linkcode shardsOf} takes. */
function optionOf({ shards = "thread" }: PartitionedCounterOptions, action: string): number {
  if (shards !== "thread" && shards !== "domain") {
    throw new NumaError("EINVAL", action, {
      why: `shards is ${show(shards)}`,
      fix: 'Give "thread" or "domain".',
    });
  }
  return Number(shards === "domain");
}

/**
 * A counter that many threads add to without slowing each other down.
 *
 * Each thread adds on a cache line of its own, and reading the value sums the lines. An add moves no cache line between
 * cores, and reading costs a line for each thread. The value includes everything that was added before (before a
 * barrier, a join, a message), and some of what is being added at this moment. What dead threads added remains.
 *
 * There is no reset, because it would lose what is being added. Keep a value, and subtract it from a later one.
 *
 * @example
 * ```ts
 * import { PartitionedCounter } from "@numakit/numakit";
 *
 * const requests = PartitionedCounter.create(new SharedArrayBuffer(PartitionedCounter.bytes()));
 * requests.add(); // in any thread
 * requests.add(-1);
 * console.log(requests.value()); // 0
 * ```
 */
export class PartitionedCounter implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    PartitionedCounter,
    (region) => new PartitionedCounter(region),
  );
  readonly #core: CounterCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #most: number;

  private constructor(region: Region) {
    const shards = shardsOf(region.option);
    this.#core = new CounterCore(region.words, region.shape, shards);
    this.#attached = new Attachment(region);
    this.#me = this.#attached.me;
    this.#most = CounterCore.most(region.shape, shards);
  }

  /**
   * Creates a counter with the value 0.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode PartitionedCounter.bytes}
   * bytes.
   * @param options The maximum number of threads, and other options.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: PartitionedCounterOptions = {}): PartitionedCounter {
    return PartitionedCounter.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a counter needs: 128 bytes for each thread or domain, plus 256.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: PartitionedCounterOptions = {}): number {
    return PartitionedCounter.#kind.bytes(options);
  }

  /**
   * Returns the live counter of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode PartitionedCounter.toHandle}, made in any thread of this process.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` if it is not such a handle; `ESTALE` if its memory no longer exists; `EAGAIN` if this
   * thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): PartitionedCounter {
    return PartitionedCounter.#kind.attach(handle);
  }

  /**
   * Adds to the counter.
   *
   * Cost: one atomic operation on a line that no other thread writes; with shards of domains also a load, on a line that
   * the domain shares.
   *
   * @param n An integer from -2^30 to 2^30; with domain shards, the bound is 2^28 divided by `threads`. Default: 1.
   * @throws {NumaError} `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  add(n?: number): void {
    const by = n === undefined ? 1 : this.#check(n);
    try {
      this.#core.add(this.#me, by);
    } catch (error) {
      this.#attached.check("add to");
      throw error;
    }
  }

  #check(n: number): number {
    const most = this.#most;
    if (typeof n === "number" && (n | 0) === n && n <= most && n >= -most) return n;
    return checkInteger(n, "the number to add", -most, most, "add to a counter");
  }

  /**
   * Returns the sum of everything that was added.
   *
   * Cost: three loads for each slot up to the highest that has ever added: 36 to 70 ns for two, 0.4 to 1 µs for 64.
   *
   * @returns An integer, exact from -2^53 to 2^53.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
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
