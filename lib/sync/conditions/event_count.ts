import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { synchronous } from "../../base/synchronous.ts";
import { checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { Crowd } from "./crowd.ts";
import { EventCountCore } from "./event_count_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { checkAlive, settleIn } from "../../shared/tenancy.ts";
import { currentWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { waitUntil } from "./wait_until.ts";

const KIND = /* @__PURE__ */ defineKind<EventCount>({
  name: "EventCount",
  code: 44,
  title: "an event count",
  accepts: ["threads"],
  words: (shape) => EventCountCore.words(shape),
});
const WAIT = "wait for an event";

/**
 * Lets threads sleep until something changes, in code that changes data without a lock, such as the consumers of a
 * queue.
 *
 * A waiter passes a function that tries to take what it waits for, and returns whether it succeeded. A thread that
 * changes the data notifies afterwards. A notification without waiters costs one load, and none is lost between the
 * last check and the sleep.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    EventCount,
    (region) => new EventCount(region),
  );
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
   * Creates an event count.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode EventCount.bytes} bytes.
   * @param options The maximum number of threads, and other options.
   * @returns The event count.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): EventCount {
    return EventCount.#kind.create(memory, options);
  }

  /**
   * Returns how much memory it needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return EventCount.#kind.bytes(options);
  }

  /**
   * Returns the live event count of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode EventCount.toHandle}, made in any thread of this process.
   * @returns The event count.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): EventCount {
    return EventCount.#kind.attach(handle);
  }

  /**
   * Sleeps until a function succeeds.
   *
   * @param take Tries to take what is waited for. It is called now, before each sleep and after each notification. It
   * must not be asynchronous, nor wait for this event count itself.
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is
   * being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`. What `take` throws.
   */
  waitUntil(take: () => boolean, options?: BlockOptions): void {
    checkTake(take);
    options = checkBlockOptions(options, WAIT);
    const awaited = { core: this.#core, region: this.#region, me: this.#me, action: WAIT };
    waitUntil(awaited, () => taken(take()), options);
  }

  /**
   * Waits until a function succeeds, without blocking the thread. There can be any number of such waits. For
   * notifications they count as one, and all of them check.
   *
   * @param take As for {@linkcode EventCount.waitUntil}; also called after notifications that were not for it.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when `take` has succeeded.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed;
   * `EINVAL`. The signal's reason if it aborts; what `take` throws.
   */
  async waitUntilAsync(take: () => boolean, options?: AsyncWaitOptions): Promise<void> {
    checkTake(take);
    const checked = checkWaitOptions(options, WAIT);
    if (taken(take())) return;
    checkAlive(this.#region, WAIT);
    checked?.signal?.throwIfAborted();
    await this.#crowd.join(this, checked, () => taken(take()));
  }

  /**
   * Wakes one waiter. Call it after what it waits for was changed.
   *
   * @returns Whether a thread was waiting.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  notify(): boolean {
    checkAlive(this.#region, "notify an event");
    return this.#core.notify(this.#me);
  }

  /**
   * Wakes all waiters. Call it after what they wait for was changed.
   *
   * @returns Whether a thread was waiting.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  notifyAll(): boolean {
    checkAlive(this.#region, "notify an event");
    return this.#core.notifyAll(this.#me);
  }

  /**
   * Returns a handle with which another thread finds it. Arguments and results of threads are converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }
}

function checkTake(take: unknown): void {
  if (typeof take === "function") return;
  throw new NumaError("EINVAL", WAIT, {
    why: `take is ${show(take)}`,
    fix: "Give a function that returns whether it succeeded.",
  });
}

/** A promise would count as success, whatever becomes of it. */
function taken(result: boolean): boolean {
  return synchronous(result, WAIT, "Give one that tries once and returns whether it succeeded.");
}
