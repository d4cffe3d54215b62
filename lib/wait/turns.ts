/**
 * Asynchronous waits of one thread for one object: first come, first served, one in the object's words at a time.
 *
 * The first of them waits in the words, under the id that all asynchronous waits of the thread share; the others are
 * promises in a queue of the thread. Whoever has its turn keeps that id in the words until it leaves; then the next one
 * begins, as anybody would who comes just then. So a thread needs one slot, and waits by the thousand cost other threads
 * nothing.
 *
 * @module
 */
import { AsyncWait, borrowWaiter, returnWaiter } from "./async_wait.ts";
import { checkWaitOptions } from "./block.ts";
import type { WaitOptions } from "./options.ts";
import { Pending } from "./pending.ts";
import type { ThreadWaiter } from "./thread_waiter.ts";
import type { Wait } from "./waiter.ts";

/** What somebody wants of an object. */
export interface Request<Result> {
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
  /**
   * Begins.
   *
   * @param me The id of the thread.
   * @returns The wait; undefined when there is nothing to wait for.
   */
  start(me: ThreadWaiter): Wait<Result> | undefined;
  /** Tells a result that means "gave up". */
  failed(result: Result): boolean;
  /**
   * Gives back what it has just been given, before anybody knows of it.
   *
   * @param me The id of the thread.
   * @returns False, and nothing is changed, when that cannot be.
   */
  undo(me: ThreadWaiter): boolean;
  /**
   * Whether it may have its turn together with those that have it now, who said the same of themselves. Absent where it
   * has to be alone.
   *
   * @param me The id of the thread that has it.
   */
  joins?(me: ThreadWaiter): boolean;
}

/** That somebody has its turn, until {@linkcode Turns.leave}. */
export interface Turn<Result> {
  /** The id for the object's words. */
  readonly me: ThreadWaiter;
  /** What its wait ended with; undefined when there was none. */
  readonly result: Result | undefined;
  /** Whether it had to wait. */
  readonly waited: boolean;
}

/** Somebody in the queue, or at its head. */
interface Entry {
  readonly request: Request<unknown>;
  readonly pending: Pending<Turn<unknown>>;
  wait?: AsyncWait<unknown>;
  /** Whether its time has passed, or its signal has aborted. */
  isExpired?: boolean;
  /** What to do when its wait in the words ends in vain, other than to tell. */
  fate?: "again" | { readonly error: unknown };
}

/** The turns that a thread's asynchronous waits take at one object. */
export class Turns {
  #line = new Set<Entry>();
  /** The wait that is in the words. */
  #head: Entry | undefined;
  #me: ThreadWaiter | undefined;
  #holders = 0;
  #isShared = false;
  #isScheduled = false;

  /** How many have their turn now. */
  get holders(): number {
    return this.#holders;
  }

  /** The id of the wait whose turn it is, for the object's words; undefined if there is none. */
  get holder(): ThreadWaiter | undefined {
    return this.#holders > 0 ? this.#me : undefined;
  }

  /**
   * Waits for its turn, and then for the object.
   *
   * @typeParam Result What the wait ends with.
   * @param request What it wants.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns The turn, a promise of it when it cannot be had at once. To be ended by {@linkcode leave}.
   * @throws {NumaError} `EINVAL`, `EAGAIN`; the promise also with `ETIMEDOUT`. The signal's reason.
   */
  enter<Result>(
    request: Request<Result>,
    options: WaitOptions | undefined,
  ): Turn<Result> | Promise<Turn<Result>> {
    const checked = options === undefined ? undefined : checkWaitOptions(options, request.action);
    checked?.signal?.throwIfAborted();
    const isNext = this.#line.size === 0 && this.#head === undefined;
    if (isNext && this.#holders === 0) {
      const me = borrowWaiter();
      const wait = this.#start(request as Request<unknown>, me);
      if (wait === undefined) {
        return this.#hold(request as Request<unknown>, me, undefined, false) as Turn<Result>;
      }
      const entry = this.#newEntry(request as Request<unknown>, checked);
      this.#await(entry, me, wait);
      return entry.pending.promise as Promise<Turn<Result>>;
    }
    if (isNext && this.#mayJoin(request as Request<unknown>)) {
      return this.#join(false) as Turn<Result>;
    }
    const entry = this.#newEntry(request as Request<unknown>, checked);
    this.#line.add(entry);
    return entry.pending.promise as Promise<Turn<Result>>;
  }

  /** Ends a turn. The next begins a moment later: whatever this thread does until then comes first. */
  leave(): void {
    if (this.#holders === 0) return;
    if (--this.#holders === 0) {
      this.#me = undefined;
      returnWaiter();
    }
    this.#schedule();
  }

  /** Ends all turns, because what they are about is gone: whoever leaves later has left already. */
  drop(): void {
    while (this.#holders > 0) this.leave();
  }

  /**
   * Takes back what waits in the words, because this thread is going to sleep, and could not take what it is given. It
   * begins anew when the thread goes on. Where it has been given something that cannot be undone, it has its turn.
   */
  withdraw(): void {
    const head = this.#head;
    if (head === undefined) return;
    head.fate = "again";
    head.wait?.end();
  }

  /**
   * Ends all waits.
   *
   * @param errorOf Makes the error of one, of what was asked.
   */
  end(errorOf: (action: string) => unknown): void {
    for (const { request, pending } of this.#line) pending.reject(errorOf(request.action));
    this.#line.clear();
    if (this.#head === undefined) return;
    this.#head.fate = { error: errorOf(this.#head.request.action) };
    this.#head.wait?.end();
  }

  #newEntry(request: Request<unknown>, options: WaitOptions | undefined): Entry {
    const expire = (): void => {
      if (this.#line.delete(entry)) {
        entry.pending.reject();
        this.#schedule();
      } else {
        entry.isExpired = true;
        entry.wait?.giveUp();
      }
    };
    const entry: Entry = { request, pending: new Pending(request.action, options, expire) };
    return entry;
  }

  #start(request: Request<unknown>, me: ThreadWaiter): Wait<unknown> | undefined {
    try {
      return request.start(me);
    } catch (error) {
      returnWaiter();
      throw error;
    }
  }

  #hold(
    request: Request<unknown>,
    me: ThreadWaiter,
    result: unknown,
    waited: boolean,
  ): Turn<unknown> {
    this.#me = me;
    this.#holders = 1;
    this.#isShared = request.joins !== undefined;
    return { me, result, waited };
  }

  #mayJoin({ joins }: Request<unknown>): boolean {
    return this.#isShared && this.#me !== undefined && joins?.(this.#me) === true;
  }

  #join(waited: boolean): Turn<unknown> {
    this.#holders++;
    return { me: this.#me as ThreadWaiter, result: undefined, waited };
  }

  #await(entry: Entry, me: ThreadWaiter, wait: Wait<unknown>): void {
    this.#head = entry;
    const { request, pending } = entry;
    entry.wait = new AsyncWait(wait, {
      end: (result, over) => {
        this.#head = undefined;
        const { fate, isExpired = false } = entry;
        const isGiven = !over || !request.failed(result);
        if (isGiven && !(fate === "again" && request.undo(me))) {
          pending.resolve(this.#hold(request, me, result, true));
        } else {
          returnWaiter();
          // Nothing would limit it a second time.
          if (fate === "again" && !isExpired) this.#line = new Set([entry, ...this.#line]);
          else pending.reject(fate === "again" ? undefined : fate?.error);
        }
        delete entry.fate;
        delete entry.wait;
        this.#schedule();
      },
      fail: (error) => {
        this.#head = undefined;
        returnWaiter();
        pending.reject(error);
        this.#schedule();
      },
    });
    entry.wait.begin();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#line.size === 0) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      this.#advance();
    });
  }

  /** Lets those begin whose turn has come. */
  #advance(): void {
    for (const entry of this.#line) {
      if (this.#head !== undefined) return;
      const { request, pending } = entry;
      if (this.#holders > 0) {
        if (!this.#mayJoin(request)) return;
        this.#line.delete(entry);
        pending.resolve(this.#join(true));
        continue;
      }
      this.#line.delete(entry);
      try {
        const me = borrowWaiter();
        const wait = this.#start(request, me);
        if (wait === undefined) pending.resolve(this.#hold(request, me, undefined, true));
        else this.#await(entry, me, wait);
      } catch (error) {
        pending.reject(error);
      }
    }
  }
}
