import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import {
  BARRIER_DIED,
  BARRIER_GAVE_UP,
  BARRIER_LEADER,
  BARRIER_PASSED,
  BARRIER_WAITING,
  BarrierCore,
} from "./barrier_core.ts";
import { Attachment } from "../../shared/attachment.ts";
import {
  block,
  blockAsync,
  blockFor,
  checkBlockOptions,
  wouldBlockError,
} from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { DEAD_ID } from "../../wait/parking_lot.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { settleIn, wakeHeirs } from "../../shared/tenancy.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import { isMainThread, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

const KIND = /* @__PURE__ */ defineKind<Barrier, SyncOptions, [parties: number]>({
  name: "Barrier",
  code: 23,
  title: "a barrier",
  accepts: ["threads"],
  words: (shape) => BarrierCore.words(shape),
  prepare({ threads, action }, parties) {
    checkInteger(parties, "parties", 1, threads, action);
    return (words) => BarrierCore.init(words, parties);
  },
});
const ACTION = "pass a barrier";

/** Whether the caller is the leader. */
function leads(answer: number): boolean {
  if (answer === BARRIER_LEADER) return true;
  if (answer === BARRIER_PASSED) return false;
  const fix = "Make sure that all parties have left it, then call reset().";
  if (answer === BARRIER_DIED) {
    throw new NumaError("EOWNERDEAD", ACTION, { why: "a thread that takes part has died", fix });
  }
  if (answer === BARRIER_GAVE_UP) {
    throw new NumaError("ETIMEDOUT", ACTION, { why: "a thread has given up waiting there", fix });
  }
  throw new NumaError("EAGAIN", ACTION, {
    why: "it is being reset",
    fix: "Try again when the reset is over.",
  });
}

/**
 * A point that a fixed number of threads pass together, again and again: the end of a step that all have to finish
 * before any of them starts the next.
 *
 * Threads of an L3 domain are counted within the domain, so that few cache lines cross the machine. Exactly one thread
 * is told that it is the leader, for work that has to be done once in each step.
 *
 * If a thread that takes part dies or gives up, the others cannot pass: all calls fail until {@linkcode Barrier.reset}.
 * A thread takes part from its first {@linkcode Barrier.wait}, or {@linkcode Barrier.join}, until
 * {@linkcode Barrier.leave}. A thread that destroys the barrier's arena before it leaves counts as dead.
 *
 * Properties: NUMA-aware, reusable, robust, abortable.
 *
 * @example
 * ```ts
 * import { Barrier } from "@numakit/numakit";
 *
 * const barrier = Barrier.create(new SharedArrayBuffer(Barrier.bytes()), 1);
 * for (let step = 0; step < 10; step++) {
 *   // in each of the threads: work, then
 *   if (barrier.wait({ block: true })) console.log(`step ${step} is done`);
 * }
 * barrier.leave();
 * ```
 */
export class Barrier implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(Barrier, (region) => new Barrier(region));
  readonly #core: BarrierCore;
  readonly #attached: Attachment;
  readonly #request: AsyncRequest<number>;
  /** This thread's waits that do not block: each is a party, with an id of its own. */
  readonly #waits = new Set<ThreadWaiter>();

  private constructor(region: Region) {
    this.#core = new BarrierCore(region.words, region.shape);
    this.#attached = new Attachment(region, SPIN_YIELD_PARK);
    this.#request = requestOf(this.#core, this.#attached);
    settleIn(this, region, "parties", tenantOf(this.#core, this.#attached, this.#waits));
  }

  /**
   * Creates a barrier.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode Barrier.bytes} bytes.
   * @param parties The number of threads, or asynchronous waits, that pass it together: 1 to `threads`.
   * @param options The maximum number of threads, and other options.
   * @returns The barrier.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, parties: number, options: SyncOptions = {}): Barrier {
    return Barrier.#kind.create(memory, options, parties);
  }

  /**
   * Returns how much memory a barrier needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return Barrier.#kind.bytes(options);
  }

  /**
   * Returns the live barrier of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Barrier.toHandle}, made in any thread of this process.
   * @returns The barrier.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Barrier {
    return Barrier.#kind.attach(handle);
  }

  /** The number of parties that pass it together. */
  get parties(): number {
    return this.#core.parties;
  }

  /**
   * Whether it is broken: no thread can pass it until it is reset.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get broken(): boolean {
    this.#attached.check("read");
    return this.#core.broken() !== 0;
  }

  /**
   * Makes this thread take part from now on: if it dies before it arrives, the others get an error.
   *
   * A thread that waits takes part in any case.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  join(): void {
    this.#attached.check("join");
    this.#core.join(this.#attached.me);
  }

  /**
   * Ends this thread's participation. The thread may then end, and another one take its place.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  leave(): void {
    this.#attached.check("leave");
    this.#core.leave(this.#attached.me);
  }

  /**
   * Sleeps until all parties have arrived.
   *
   * A thread that gives up, because of a timeout or because it is terminated, breaks the barrier for all.
   *
   * @param options The timeout, and whether the main thread may block.
   * @returns Whether this thread is the leader: true for exactly one of those that pass together.
   * @throws {NumaError} `EOWNERDEAD` a thread that takes part has died; `ETIMEDOUT` this one, or another one, has given
   * up; `EAGAIN` it is being reset; `EWOULDBLOCK` the call would block the main thread: nothing has happened then;
   * `ETERMINATED` this thread is being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  wait(options?: BlockOptions): boolean {
    this.#attached.check("pass");
    options = checkBlockOptions(options, ACTION);
    if (!(options?.block ?? !isMainThread())) throw wouldBlockError(ACTION);
    return leads(blockFor(this.#request, this.#attached.me, options));
  }

  /**
   * Waits until all parties have arrived, without blocking the thread. While it lasts, such a wait is a party of its
   * own, and counts as a thread of its own for the barrier's `threads`.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for whether this wait is the leader.
   * @throws {NumaError} As {@linkcode Barrier.wait}; `EAGAIN` also for more waits than it was made for; `EDESTROYED`
   * also if its arena is destroyed during the wait. The signal's reason if it aborts.
   */
  async waitAsync(options?: AsyncWaitOptions): Promise<boolean> {
    this.#attached.check("pass");
    let party: ThreadWaiter | undefined;
    const admit = (me: ThreadWaiter): void => {
      this.#request.admit?.(me);
      this.#waits.add(party = me);
    };
    try {
      const { me, result } = await blockAsync({ ...this.#request, admit }, options);
      // Otherwise it would be taken for a dead party.
      try {
        this.#attached.check("pass");
        this.#core.leave(me);
      } finally {
        me.lot.release(me.id);
      }
      return leads(result);
    } finally {
      if (party !== undefined) this.#waits.delete(party);
    }
  }

  /**
   * Resets the barrier to its initial state: makes all waits fail, waits until they have ended, and forgets which
   * threads took part.
   *
   * @param options The timeout for that, and whether the main thread may block.
   * @throws {NumaError} `ETIMEDOUT`, `EWOULDBLOCK`, `ETERMINATED`, after which the barrier is broken; `EDESTROYED` its
   * arena is destroyed; `EINVAL`.
   */
  reset(options?: BlockOptions): void {
    this.#attached.check("reset");
    const action = "reset a barrier";
    options = checkBlockOptions(options, action);
    block(this.#core.reset(this.#attached.me), this.#attached.me, action, options);
  }

  /**
   * Returns a handle with which another thread finds the barrier. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }
}

/** What waits want: that all have come. */
function requestOf(core: BarrierCore, attached: Attachment): AsyncRequest<number> {
  return {
    action: ACTION,
    ...attached.guards("pass", ACTION),
    begin(me) {
      const answer = core.begin(me);
      return answer === BARRIER_WAITING ? undefined : answer;
    },
    wait: (me) => core.wait(me),
    failed: (answer) => answer === BARRIER_GAVE_UP,
  };
}

/** A party whose memory goes will not come any more: the others are told, as of a dead one. */
function tenantOf(core: BarrierCore, { me, words }: Attachment, waits: Set<ThreadWaiter>): Tenant {
  return {
    holds: () => words.length > 0 && [me, ...waits].some((party) => core.takesPart(party)),
    // They look, and find their memory gone.
    endWaits: () => waits.forEach(({ lot, id }) => lot.unpark(id)),
    abandon(): void {
      if (words.length === 0) return;
      let took = false;
      for (const party of [me, ...waits]) if (core.abandon(party, DEAD_ID)) took = true;
      if (took) wakeHeirs();
    },
  };
}
