/**
 * Asynchronous waits of one thread for one object: first come, first served, one in the object's words at a time.
 *
 * The first of them waits in the words, under the id that all asynchronous waits of the thread share; the others are
 * promises in a queue of the thread. Whoever has its turn keeps that id in the words until it leaves; then the next one
 * begins, as anybody would who comes just then. So a thread needs one slot, and waits by the thousand cost other threads
 * nothing.
 *
 * Only the thread's object knows which calls have their turn and which come next. It is therefore kept alive until there
 * are none, even if the program has dropped it and its guards.
 *
 * @module
 */
import { AsyncWait, borrowWaiter, returnWaiter } from "./async_wait.ts";
import { checkWaitOptions } from "./block.ts";
import { Keeper } from "./keep_alive.ts";
import type { AsyncWaitOptions } from "./options.ts";
import { Pending } from "./pending.ts";
import { type AsyncRequest, beginAsync, waitAsync } from "./request.ts";
import type { ThreadWaiter } from "./thread_waiter.ts";

/** That somebody has its turn, until {@linkcode Turns.leave}. */
export interface Turn<Result> {
  /** The id for the object's words. */
  readonly me: ThreadWaiter;
  /** The result; undefined when it has joined others. */
  readonly result: Result | undefined;
  /** Whether it had to wait. */
  readonly waited: boolean;
}

/** Somebody in the queue, or at its head. */
interface Entry {
  readonly request: AsyncRequest<unknown>;
  readonly pending: Pending<Turn<unknown>>;
  wait?: AsyncWait<unknown>;
  /** Whether its time has passed, or its signal has aborted. */
  isExpired?: boolean;
  /** What to do when its wait in the words ends in vain, other than to tell. */
  fate?: "again" | { readonly error: unknown };
}

/** The turns that a thread's asynchronous waits take at one object. */
export class Turns {
  readonly #keeper = new Keeper();
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
   * @param owner The object, which is kept alive until nobody has its turn or waits.
   * @param request What it wants.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns The turn, a promise of it when it cannot be had at once. To be ended by {@linkcode leave}.
   * @throws {NumaError} `EINVAL`, `EAGAIN`; the promise also with `ETIMEDOUT`. The signal's reason.
   */
  enter<Result>(
    owner: object,
    request: AsyncRequest<Result>,
    options: AsyncWaitOptions | undefined,
  ): Turn<Result> | Promise<Turn<Result>> {
    const checked = checkWaitOptions(options, request.action);
    checked?.signal?.throwIfAborted();
    this.#keeper.keep(owner);
    try {
      return this.#enter(request, checked);
    } finally {
      this.#rest();
    }
  }

  #enter<Result>(
    request: AsyncRequest<Result>,
    checked: AsyncWaitOptions | undefined,
  ): Turn<Result> | Promise<Turn<Result>> {
    const isNext = this.#line.size === 0 && this.#head === undefined;
    if (isNext && this.#holders === 0) {
      const me = borrowWaiter();
      const result = this.#begin(request as AsyncRequest<unknown>, me);
      if (result !== undefined) {
        return this.#hold(request as AsyncRequest<unknown>, me, result, false) as Turn<Result>;
      }
      const entry = this.#newEntry(request as AsyncRequest<unknown>, checked);
      this.#await(entry, me);
      return entry.pending.promise as Promise<Turn<Result>>;
    }
    if (isNext && this.#mayJoin(request as AsyncRequest<unknown>)) {
      return this.#join(false) as Turn<Result>;
    }
    const entry = this.#newEntry(request as AsyncRequest<unknown>, checked);
    this.#line.add(entry);
    return entry.pending.promise as Promise<Turn<Result>>;
  }

  /**
   * Waits for its turn, and ends it at once: for what the call need not give back.
   *
   * @typeParam Result What the call gets.
   * @param owner The object, as for {@linkcode enter}.
   * @param request The request, which does not join others.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns Resolves to the result.
   * @throws {NumaError} As {@linkcode enter}.
   */
  async pass<Result>(
    owner: object,
    request: AsyncRequest<Result>,
    options: AsyncWaitOptions | undefined,
  ): Promise<Result> {
    const entered = this.enter(owner, request, options);
    const { result } = entered instanceof Promise ? await entered : entered;
    this.leave();
    return result as Result;
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
    this.#rest();
    if (this.#head === undefined) return;
    this.#head.fate = { error: errorOf(this.#head.request.action) };
    this.#head.wait?.end();
  }

  #newEntry(request: AsyncRequest<unknown>, options: AsyncWaitOptions | undefined): Entry {
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

  #begin(request: AsyncRequest<unknown>, me: ThreadWaiter): unknown {
    try {
      return beginAsync(request, me);
    } catch (error) {
      returnWaiter();
      throw error;
    }
  }

  #hold(
    request: AsyncRequest<unknown>,
    me: ThreadWaiter,
    result: unknown,
    waited: boolean,
  ): Turn<unknown> {
    this.#me = me;
    this.#holders = 1;
    this.#isShared = request.joins !== undefined;
    return { me, result, waited };
  }

  #mayJoin({ joins }: AsyncRequest<unknown>): boolean {
    return this.#isShared && this.#me !== undefined && joins?.(this.#me) === true;
  }

  #join(waited: boolean): Turn<unknown> {
    this.#holders++;
    return { me: this.#me as ThreadWaiter, result: undefined, waited };
  }

  #await(entry: Entry, me: ThreadWaiter): void {
    this.#head = entry;
    const { request, pending } = entry;
    entry.wait = new AsyncWait(waitAsync(request, me), {
      end: (result, over) => {
        this.#head = undefined;
        const { fate, isExpired = false } = entry;
        const isGiven = !over || !request.failed(result);
        if (isGiven && !(fate === "again" && request.undo?.(me) === true)) {
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

  /** Lets the object go where nobody has a turn or waits for one. */
  #rest(): void {
    if (this.#holders === 0 && this.#head === undefined && this.#line.size === 0) {
      this.#keeper.letGo();
    }
  }

  #schedule(): void {
    this.#rest();
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
        const result = this.#begin(request, me);
        if (result === undefined) this.#await(entry, me);
        else pending.resolve(this.#hold(request, me, result, true));
      } catch (error) {
        pending.reject(error);
      }
    }
    this.#rest();
  }
}
