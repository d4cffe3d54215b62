import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions } from "../../wait/block.ts";
import type { BlockOptions, WaitOptions } from "../../wait/options.ts";
import { type Request, Turns } from "../../wait/turns.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { isMainThread, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { Attachment } from "../../shared/attachment.ts";
import { ONCE_BUSY, ONCE_DONE, ONCE_RUN, OnceCore } from "./once_core.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { goneError, settleIn } from "../../shared/tenancy.ts";

const KIND = defineKind<Once>({
  name: "Once",
  code: 25,
  title: "a once",
  accepts: ["threads"],
  words: (shape) => OnceCore.words(shape),
});

function checkFunction(run: unknown, action: string): void {
  if (typeof run === "function") return;
  throw new NumaError("EINVAL", action, {
    why: `what is to be done is ${show(run)}`,
    fix: "Give a function.",
  });
}

/**
 * Something that is done once, however many threads ask for it: filling a shared table, say.
 *
 * The first one does it; the others wait until it is done. When that one throws, or is killed, the next one does it: it
 * has to cope with what was half done.
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
  readonly #core: OnceCore;
  readonly #attached: Attachment;
  readonly #turns = new Turns();

  private constructor(region: Region) {
    this.#core = new OnceCore(region.words, region.shape);
    this.#attached = new Attachment(region);
    settleIn(this, region, "run", tenantOf(this.#core, this.#attached, this.#turns));
  }

  /**
   * Makes one.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode Once.bytes} bytes.
   * @param options For whom.
   * @returns It.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): Once {
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
   * The live object of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Once.toHandle} gave in any thread of this process.
   * @returns It.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake; `ESTALE`
   * when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): Once {
    return KIND.attach(handle);
  }

  /**
   * Whether it is done.
   *
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  get done(): boolean {
    this.#attached.check("read");
    return this.#core.done();
  }

  /**
   * Does it, or sleeps until another thread has done it.
   *
   * @param run Does it. Not asynchronous; see {@linkcode Once.runAsync}.
   * @param options How long to wait for another thread, and whether to block the main thread.
   * @returns Whether this call did it.
   * @throws {NumaError} `EDEADLK` from within `run`; `ETIMEDOUT`; `EWOULDBLOCK` it would block the main thread;
   * `ETERMINATED` this thread is to end; `EDESTROYED` its arena is, or was destroyed by `run`; `EINVAL`. What `run`
   * throws.
   */
  run(run: () => void, options?: BlockOptions): boolean {
    this.#attached.check("do");
    const action = "do something once";
    const core = this.#core;
    const me = this.#attached.me;
    if (core.done()) return false;
    checkFunction(run, action);
    if (options !== undefined) options = checkBlockOptions(options, action);
    const mayBlock = options?.block ?? !isMainThread();
    const { holder = me } = this.#turns;
    if (core.runs(me) || (mayBlock && core.runs(holder))) {
      throw new NumaError("EDEADLK", action, {
        why: "this thread is doing it",
        fix: "Do not ask for it from within; while runAsync is at it, await that.",
      });
    }
    let answer = core.begin(me);
    if (answer === ONCE_BUSY) {
      answer = block(core.wait(me), me, action, options, (answer) => answer === ONCE_BUSY);
    }
    if (answer === ONCE_DONE) return false;
    let done = false;
    try {
      const result: unknown = run();
      if (result instanceof Promise) {
        throw new NumaError("EINVAL", action, {
          why: "what is to be done is asynchronous",
          fix: "Use runAsync.",
        });
      }
      done = true;
    } finally {
      this.#end(me, done);
    }
    this.#attached.check("end");
    return true;
  }

  /**
   * Does it, or waits until another thread, or another such call of this one, has done it. Does not block the thread; there
   * may be any number of such calls.
   *
   * @param run Does it.
   * @param options How long to wait for the others.
   * @returns Resolves to whether this call did it.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than it was made for; `EDESTROYED` its arena is, or was
   * meanwhile; `EINVAL`. What `run` throws. The signal's reason when that aborts.
   */
  async runAsync(run: () => void | Promise<void>, options?: WaitOptions): Promise<boolean> {
    this.#attached.check("do");
    const action = "do something once";
    const core = this.#core;
    if (core.done()) return false;
    checkFunction(run, action);
    const attached = this.#attached;
    let answer = ONCE_BUSY;
    const request: Request<number> = {
      action,
      start(me) {
        attached.admit(me, action);
        answer = core.begin(me);
        return answer === ONCE_BUSY ? attached.watch(core.wait(me), "do") : undefined;
      },
      failed: (answer) => answer === ONCE_BUSY,
      undo: () => false,
    };
    const entered = this.#turns.enter(request, options);
    const { me, result = answer } = entered instanceof Promise ? await entered : entered;
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
   * How another thread finds it. Arguments and results of threads turn it into a live object there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  static {
    KIND.register(Once, (region) => new Once(region));
  }
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
