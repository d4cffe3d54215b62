import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { CounterCore, type CounterShards } from "./counter_core.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";

export type { CounterShards } from "./counter_core.ts";

/** For whom a counter is made. */
export interface CounterOptions extends SyncOptions {
  /**
   * What adds on a line of its own. `"thread"`: no line is written by two threads. `"domain"`: one line an L3 domain, for
   * so many threads that a line each is too much. Default: `"thread"`.
   */
  readonly shards?: CounterShards;
}

const KIND = defineKind<PartitionedCounter, CounterOptions>({
  name: "PartitionedCounter",
  code: 20,
  title: "a counter",
  accepts: ["threads", "shards"],
  option: optionOf,
  words: (shape, option) => CounterCore.words(shape, shardsOf(option)),
});

function shardsOf(option: number): CounterShards {
  return option === 1 ? "domain" : "thread";
}

/** The number that {@linkcode shardsOf} takes. */
function optionOf({ shards = "thread" }: CounterOptions, action: string): number {
  if (shards !== "thread" && shards !== "domain") {
    throw new NumaError("EINVAL", action, {
      why: `shards is ${show(shards)}`,
      fix: 'Give "thread" or "domain".',
    });
  }
  return Number(shards === "domain");
}

/**
 * A counter that many threads add to without getting into each other's way.
 *
 * Each thread adds on a cache line of its own; reading the value adds the lines up. So an add moves nothing
 * between cores, and a value costs a line a thread. The value holds everything that was added before (before a barrier,
 * a join, a message), and some of what is being added at this moment. What dead threads added stays.
 *
 * There is no reset, which would lose what is being added: keep a value, and subtract it from a later one.
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
   * Makes a counter. It is 0 at first.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode PartitionedCounter.bytes} bytes.
   * @param options For whom.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: CounterOptions = {}): PartitionedCounter {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a counter takes: 128 bytes a thread, or a domain, and 256.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: CounterOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live counter of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode PartitionedCounter.toHandle} gave in any thread of this process.
   * @returns The counter.
   * @throws {NumaError} `EINVAL` for anything else than a handle; `ESTALE` when its memory is gone; `EAGAIN` when this
   * thread is one too many.
   */
  static fromHandle(handle: Handle): PartitionedCounter {
    return KIND.attach(handle);
  }

  /**
   * Adds.
   *
   * Cost: one atomic operation on a line that no other thread writes; two with shards of domains.
   *
   * @param n A whole number, 2^30 at the most either way; with shards of domains 2^28 divided by `threads`. Default: 1.
   * @throws {NumaError} `EDESTROYED` its arena is; `EINVAL`.
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
   * The sum of all that was added.
   *
   * @returns A whole number, exact from -2^53 to 2^53.
   * @throws {NumaError} `EDESTROYED` its arena is.
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
    KIND.register(PartitionedCounter, (region) => new PartitionedCounter(region));
  }
}
