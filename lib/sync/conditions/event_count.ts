import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { BlockOptions, WaitOptions } from "../../wait/options.ts";
import { Crowd } from "./crowd.ts";
import { EventCountCore } from "./event_count_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { currentWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";

const KIND = defineKind<EventCount>({
  name: "EventCount",
  code: 44,
  title: "an event count",
  accepts: ["threads"],
  words: (shape) => EventCountCore.words(shape),
});
const WAIT = "wait for an event";

/**
 * Sleeping until something changes, for code that changes things without a lock: the consumers of a queue, say.
 *
 * A waiter gives a function that takes what it waits for and says whether it could; whoever changes things notifies
 * afterwards. A notification when nobody waits costs one load, and none is ever lost between the last look and the
 * sleep.
 *
 * Properties: fair in turn, robust, abortable.
 *
 * @example
 * ```ts
 * import { EventCount } from "@numakit/numakit";
 *
 * const items = new Int32Array(new SharedArrayBuffer(4));
 * const events = EventCount.create(new SharedArrayBuffer(EventCount.bytes()));
 * // A producer, in any thread:
 * Atomics.add(items, 0, 1);
 * events.notify();
 * // A consumer:
 * events.waitUntil(() => {
 *   const found = Atomics.load(items, 0);
 *   return found > 0 && Atomics.compareExchange(items, 0, found, found - 1) === found;
 * });
 * ```
 */
export class EventCount implements Shareable {
  readonly #core: EventCountCore;
  readonly #region: Region;
  readonly #me: ThreadWaiter;
  readonly #crowd: Crowd;

  private constructor(region: Region) {
    this.#core = new EventCountCore(region.words, region.shape);
    this.#region = region;
    this.#me = currentWaiter();
    this.#crowd = new Crowd(this.#core, region, this.#me, WAIT);
    settleIn(this, region, "waits", this.#crowd.tenant);
  }

  /**
   * Makes one.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode EventCount.bytes} bytes.
   * @param options For whom.
   * @returns The event count.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena
   * that another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): EventCount {
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
   * The live event count of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode EventCount.toHandle} gave in any thread of this process.
   * @returns The event count.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake;
   * `ESTALE` when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): EventCount {
    return KIND.attach(handle);
  }

  /**
   * Sleeps until a function succeeds.
   *
   * @param take Takes what is waited for. Called now, before each sleep and after each notification; it must not wait
   * for this event count itself.
   * @param options How long, and whether to block the main thread.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` it would block the main thread; `ETERMINATED` this thread is to
   * end; `EDESTROYED` its arena is; `EINVAL`. What `take` throws.
   */
  waitUntil(take: () => boolean, options?: BlockOptions): void {
    checkTake(take);
    if (options !== undefined) options = checkBlockOptions(options, WAIT);
    const core = this.#core;
    const me = this.#me;
    const start = options?.timeoutMs === undefined ? 0 : me.now();
    while (!take()) {
      this.#check(WAIT);
      core.prepare(me);
      let ready = true;
      try {
        ready = take();
      } finally {
        if (ready && this.#region.words.length > 0) core.cancel(me);
      }
      this.#check(WAIT);
      if (ready) return;
      block(core.wait(me), me, WAIT, left(options, start, me));
    }
  }

  /**
   * Waits until a function succeeds without blocking the thread. There may be any number of such waits: they count as one
   * for those who notify, and all of them look.
   *
   * @param take As for {@linkcode EventCount.waitUntil}; also called after notifications that were not for it.
   * @param options How long.
   * @returns Resolves when `take` has succeeded.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than it was made for; `EDESTROYED` its arena is; `EINVAL`.
   * The signal's reason when that aborts; what `take` throws.
   */
  async waitUntilAsync(take: () => boolean, options?: WaitOptions): Promise<void> {
    checkTake(take);
    const checked = options === undefined ? undefined : checkWaitOptions(options, WAIT);
    if (take()) return;
    this.#check(WAIT);
    checked?.signal?.throwIfAborted();
    await this.#crowd.join(checked, take);
  }

  /**
   * Wakes one that waits. After what it waits for was changed.
   *
   * @returns Whether somebody waited.
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  notify(): boolean {
    this.#check("notify an event");
    return this.#core.notify(this.#me);
  }

  /**
   * Wakes all that wait. After what they wait for was changed.
   *
   * @returns Whether somebody waited.
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  notifyAll(): boolean {
    this.#check("notify an event");
    return this.#core.notifyAll(this.#me);
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

  #check(action: string): void {
    if (this.#region.words.length > 0) return;
    throw new NumaError("EDESTROYED", action, {
      why: "its memory is gone",
      fix: "Destroy the arena last.",
    });
  }

  static {
    KIND.register(EventCount, (region) => new EventCount(region));
  }
}

function checkTake(take: unknown): void {
  if (typeof take === "function") return;
  throw new NumaError("EINVAL", WAIT, {
    why: `what takes it is ${show(take)}`,
    fix: "Give a function that says whether it could.",
  });
}

/** The same options with the time that is left of them. */
function left<Options extends { readonly timeoutMs?: number }>(
  options: Options | undefined,
  start: number,
  me: ThreadWaiter,
): Options | undefined {
  if (options?.timeoutMs === undefined) return options;
  return { ...options, timeoutMs: Math.max(0, Math.ceil(options.timeoutMs - (me.now() - start))) };
}
