/**
 * Values that are computed once: in this thread, by one call for a key; in all threads, by one that takes its flight.
 *
 * @module
 */
import type { Tenant } from "../../memory/mapping/tenants.ts";
import type { Attachment } from "../../shared/attachment.ts";
import { checkSlot } from "../../shared/region.ts";
import { goneError } from "../../shared/tenancy.ts";
import { checkWaitOptions } from "../../wait/block.ts";
import { AsyncWait, borrowWaiter, returnWaiter } from "../../wait/async_wait.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import { Pending } from "../../wait/pending.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { Wait } from "../../wait/waiter.ts";
import type { CacheCore } from "./cache_core.ts";
import { BUSY, MINE } from "./cache_flights.ts";

export const COMPUTE = "compute a value for a cache";

/** The computations of this thread in one part, and its waits for others. Refers to no cache. */
export class Computations implements Tenant {
  readonly #core: CacheCore;
  readonly #attached: Attachment;
  readonly #waits = new Set<AsyncWait<number>>();
  /** Hashes of which this thread has the flights. */
  readonly #flights: number[] = [];
  #isGone = false;

  /**
   * @param core The algorithm.
   * @param attached Its memory.
   */
  constructor(core: CacheCore, attached: Attachment) {
    this.#core = core;
    this.#attached = attached;
  }

  /**
   * Waits until a key has a value, or this thread is to compute it.
   *
   * @param hash The key's hash.
   * @param key The key: a copy.
   * @param keyBytes Its length.
   * @param options How long, checked.
   * @returns As `CacheCore.join`.
   */
  join(
    hash: number,
    key: Int32Array,
    keyBytes: number,
    options: AsyncWaitOptions,
  ): Promise<number> {
    const { region, me: { id: owner } } = this.#attached;
    const me = borrowWaiter();
    try {
      checkSlot(me.slot, region.shape, COMPUTE);
    } catch (error) {
      returnWaiter();
      throw error;
    }
    const pending = new Pending<number>(COMPUTE, options, () => wait.giveUp());
    const wait: AsyncWait<number> = new AsyncWait(
      this.#guarded(this.#core.join(me, owner, hash, key, keyBytes)),
      {
        end: (answer) => {
          if (answer === MINE) this.#flights.push(hash);
          this.#leave(wait, me);
          if (answer !== BUSY) pending.resolve(answer);
          else pending.reject(this.#isGone ? goneError(COMPUTE) : undefined);
        },
        fail: (error) => {
          this.#leave(wait, me);
          pending.reject(error);
        },
      },
    );
    this.#waits.add(wait);
    wait.begin();
    return pending.promise;
  }

  /**
   * Ends the computation of a key.
   *
   * @param hash Its hash.
   */
  land(hash: number): void {
    const at = this.#flights.indexOf(hash);
    if (at < 0) return;
    this.#flights.splice(at, 1);
    const { me, words } = this.#attached;
    if (words.length > 0) this.#core.land(me, me.id, hash);
  }

  holds(): boolean {
    return this.#attached.words.length > 0 && this.#flights.length > 0;
  }

  endWaits(): void {
    this.#isGone = true;
    for (const wait of [...this.#waits]) wait.end();
    this.#isGone = false;
  }

  abandon(): void {
    for (const hash of [...this.#flights]) this.land(hash);
  }

  /** Looks whether the memory is still there, each time the wait goes on. */
  *#guarded(wait: Wait<number>): Wait<number> {
    let step = wait.next(false);
    while (step.done !== true) {
      const over = yield step.value;
      this.#attached.check("await");
      step = wait.next(over);
    }
    return step.value;
  }

  #leave(wait: AsyncWait<number>, me: ThreadWaiter): void {
    this.#waits.delete(wait);
    if (this.#waits.size === 0 && this.#attached.words.length > 0) this.#core.muffle(me);
    returnWaiter();
  }
}

/**
 * Looks at what a caller gave for how long a call waits.
 *
 * @param options The timeout and the signal.
 * @returns Says what is left of it.
 * @throws {NumaError} `EINVAL`. The signal's reason if it has aborted.
 */
export function timeLeftOf(options: AsyncWaitOptions): () => AsyncWaitOptions {
  const { timeoutMs, signal } = checkWaitOptions(options, COMPUTE) as AsyncWaitOptions;
  signal?.throwIfAborted();
  const deadline = performance.now() + (timeoutMs ?? Infinity);
  return () => ({
    ...(signal !== undefined && { signal }),
    ...(timeoutMs !== undefined &&
      { timeoutMs: Math.max(0, Math.ceil(deadline - performance.now())) }),
  });
}

/**
 * Waits for another call of this thread.
 *
 * @param running What that does.
 * @param options How long, checked.
 * @returns Resolves when it has ended, however.
 */
export function outcomeOf(running: Promise<unknown>, options: AsyncWaitOptions): Promise<void> {
  let isOver = false;
  const once = (then: () => void): void => {
    if (!isOver) then();
    isOver = true;
  };
  const pending = new Pending<void>(COMPUTE, options, () => once(() => pending.reject()));
  const end = (): void => once(() => pending.resolve());
  running.then(end, end);
  return pending.promise;
}
