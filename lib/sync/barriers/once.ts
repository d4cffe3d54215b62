import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { synchronous } from "../../base/synchronous.ts";
import { blockFor, checkBlockOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import { Turns } from "../../wait/turns.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { isMainThread, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { Attachment } from "../../shared/attachment.ts";
import { ONCE_BUSY, ONCE_DONE, ONCE_RUN, OnceCore } from "./once_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { goneError, settleIn } from "../../shared/tenancy.ts";

const KIND = /* @__PURE__ */ defineKind<Once>({
  name: "Once",
  code: 25,
  title: "a Once",
  accepts: ["threads"],
  words: (shape) => OnceCore.words(shape),
});

const RUN = "run a Once";

function checkFunction(run: unknown): void {
  if (typeof run === "function") return;
  throw new NumaError("EINVAL", RUN, {
    why: `run is ${show(run)}`,
    fix: "Give a function.",
  });
}

/**
 * An action that is performed once, however many threads ask for it, such as filling a shared table.
 *
 * The first thread performs it, and the others wait until it is done. If that thread throws or is killed, the next one
 * performs it, and has to handle what was left half done.
 *
 * Properties: robust, abortable; 1 atomic operation when done.
 *
 * @example
 * ```ts
 * import { Once } from "@numakit/numakit";
 *
 * const table = new Float64Array(new SharedArrayBuffer(8 * 100));
 * const filled = Once.create(new SharedArrayBuffer(Once.bytes()));
 * filled.run(() => void table.fill(1)); // in any thread
 * console.log(filled.done); // true
 * ```
 */
export class Once implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(Once, (region) => new Once(region));
  readonly #core: OnceCore;
  readonly #attached: Attachment;
  readonly #turns = new Turns();
  readonly #request: AsyncRequest<number>;

  private constructor(region: Region) {
    this.#core = new OnceCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    this.#request = requestOf(this.#core, this.#attached);
    settleIn(this, region, "run", tenantOf(this.#core, this.#attached, this.#turns));
  }

  /**
   * Creates an object whose action has not been performed.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode Once.bytes} bytes.
   * @param options The maximum number of threads, and other options.
   * @returns The object.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): Once {
    return Once.#kind.create(memory, options);
  }

  /**
   * Returns how much memory it needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return Once.#kind.bytes(options);
  }

  /**
   * Returns the live object of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Once.toHandle}, made in any thread of this process.
   * @returns The object.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Once {
    return Once.#kind.attach(handle);
  }

  /**
   * Whether it is done.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get done(): boolean {
    this.#attached.check("read");
    return this.#core.done();
  }

  /**
   * Performs the action, or sleeps until another thread has performed it.
   *
   * @param run The action. It must not be asynchronous; see {@linkcode Once.runAsync}.
   * @param options The timeout for another thread, and whether the main thread may block.
   * @returns Whether this call performed it.
   * @throws {NumaError} `EDEADLK` from within `run`; `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread;
   * `ETERMINATED` this thread is being terminated; `EDESTROYED` its arena is destroyed, also by `run`; `EINVAL`. What
   * `run` throws.
   */
  run(run: () => void, options?: BlockOptions): boolean {
    this.#attached.check("run");
    const core = this.#core;
    const me = this.#attached.me;
    if (core.done()) return false;
    checkFunction(run);
    options = checkBlockOptions(options, RUN);
    const mayBlock = options?.block ?? !isMainThread();
    const { holder = me } = this.#turns;
    if (core.runs(me) || (mayBlock && core.runs(holder))) {
      throw new NumaError("EDEADLK", RUN, {
        why: "this thread is performing it already",
        fix: "Do not call it from within the action; await a pending runAsync.",
      });
    }
    if (blockFor(this.#request, me, options) === ONCE_DONE) return false;
    let done = false;
    try {
      synchronous(run() as unknown, RUN, "Use runAsync.");
      done = true;
    } finally {
      this.#end(me, done);
    }
    this.#attached.check("end");
    return true;
  }

  /**
   * Performs the action, or waits until another thread or another such call of this thread has performed it, without
   * blocking the thread. There can be any number of such calls.
   *
   * The action must not await another `runAsync` of this object: as every other caller, that call waits for the action
   * to end, which would wait for it. Nothing can tell it from a call that the action does not await, so it is no error:
   * it ends with its timeout, or never without one.
   *
   * @param run The action.
   * @param options The timeout for the others, and a signal that aborts the wait.
   * @returns A promise for whether this call performed it.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed, or was
   * during the wait; `EINVAL`. What `run` throws. The signal's reason if it aborts.
   */
  async runAsync(run: () => void | Promise<void>, options?: AsyncWaitOptions): Promise<boolean> {
    this.#attached.check("run");
    if (this.#core.done()) return false;
    checkFunction(run);
    const entered = this.#turns.enter(this, this.#request, options);
    const { me, result } = entered instanceof Promise ? await entered : entered;
    // The turn lasts as long as it runs: the thread's other calls come after that.
    try {
      if (result !== ONCE_RUN) return false;
      let done = false;
      try {
        await run();
        done = true;
      } finally {
        this.#end(me, done);
      }
      this.#attached.check("end");
      return true;
    } finally {
      this.#turns.leave();
    }
  }

  /** Ends a run. Where the arena went with it that has happened already, and what the run threw is what is told. */
  #end(me: ThreadWaiter, done: boolean): void {
    if (this.#attached.words.length > 0) this.#core.end(me, done);
  }

  /**
   * Returns a handle with which another thread finds it. Arguments and results of threads are converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }
}

/** What calls want: to be the one that does it, or that it is done. */
function requestOf(core: OnceCore, attached: Attachment): AsyncRequest<number> {
  return {
    action: RUN,
    ...attached.guards("do", RUN),
    begin(me) {
      const answer = core.begin(me);
      return answer === ONCE_BUSY ? undefined : answer;
    },
    wait: (me) => core.wait(me),
    failed: (answer) => answer === ONCE_BUSY,
  };
}

/** A run whose memory goes has failed: somebody else has to do it. */
function tenantOf(core: OnceCore, { me, words }: Attachment, turns: Turns): Tenant {
  const runners = (): ThreadWaiter[] => {
    const { holder = me } = turns;
    return words.length === 0 ? [] : [me, holder].filter((waiter) => core.runs(waiter));
  };
  return {
    holds: () => runners().length > 0,
    endWaits: () => turns.end(goneError),
    abandon: () => runners().forEach((runner) => core.end(runner, false)),
  };
}
