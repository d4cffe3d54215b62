/**
 * Asynchronous waits of one thread on one event count, behind one entry.
 *
 * The entry waits under the id that all asynchronous waits of the thread share. When it is notified it is prepared again at
 * once, so that whoever changes something meanwhile finds it. Then the thread's own waits are told: those that look for
 * themselves all look; of the others as many end as notifications have been given since the entry was prepared, to
 * whomever. That may be more than were meant, and never is less.
 *
 * Only the thread's object knows its waits. It is therefore kept alive until there are none.
 *
 * @module
 */
import { Keeper } from "../../wait/keep_alive.ts";
import { AsyncWait, borrowWaiter, returnWaiter } from "../../wait/async_wait.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import { Pending } from "../../wait/pending.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import type { EventCountCore } from "./event_count_core.ts";
import { checkSlot, type Region } from "../../shared/region.ts";
import { goneError } from "../../shared/tenancy.ts";

/** One that waits. */
interface Member {
  readonly pending: Pending<void>;
  /** Looks, and takes what it waits for; absent in those that are told by being notified. */
  readonly take: (() => boolean) | undefined;
}

/** All asynchronous waits of this thread on one event count. */
export class Crowd {
  readonly #keeper = new Keeper();
  readonly #core: EventCountCore;
  readonly #region: Region;
  /** The calling thread, which notifies. */
  readonly #thread: ThreadWaiter;
  readonly #action: string;
  readonly #members = new Set<Member>();
  /** The wait that has prepared for all of them. */
  #me: ThreadWaiter | undefined;
  #wait: AsyncWait<boolean> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the event count's notifications came to when the entry was prepared. */
  #ones = 0;
  #alls = 0;

  /**
   * @param core The event count.
   * @param region Its memory.
   * @param thread The calling thread.
   * @param action What is asked, as it follows "Cannot".
   */
  constructor(core: EventCountCore, region: Region, thread: ThreadWaiter, action: string) {
    this.#core = core;
    this.#region = region;
    this.#thread = thread;
    this.#action = action;
  }

  /**
   * Waits with the others.
   *
   * @param owner The object, which is kept alive until nobody waits.
   * @param options How long, checked.
   * @param take Takes what it waits for, and says whether it could: called now, and after each notification. Without it
   * the wait ends when it is notified.
   * @param whenReady Called once nothing that is notified can be missed any more.
   * @returns Resolves when it has what it waits for.
   * @throws {NumaError} `EAGAIN` there are too many threads. What `whenReady` throws.
   */
  join(
    owner: object,
    options: AsyncWaitOptions | undefined,
    take?: () => boolean,
    whenReady?: () => void,
  ): Promise<void> {
    const isFirst = this.#me === undefined;
    if (isFirst) this.#prepare();
    this.#keeper.keep(owner);
    try {
      whenReady?.();
    } catch (error) {
      if (isFirst) this.#leave();
      throw error;
    }
    const expire = (): void => {
      if (this.#members.delete(member)) pending.reject();
      if (this.#members.size === 0) this.#wait?.giveUp();
    };
    const pending = new Pending<void>(this.#action, options, expire);
    const member: Member = { pending, take };
    this.#members.add(member);
    // The entry is there, so that what changes from now on is noticed.
    this.#look(member);
    if (isFirst) this.#goOn();
    return pending.promise;
  }

  /** Whether all will look soon, by {@linkcode Crowd.lookAgain}. */
  get looksSoon(): boolean {
    return this.#timer !== undefined;
  }

  /**
   * Lets those look again that look for themselves, after a time: when something was in the way that notifies nobody.
   *
   * @param delayMs The time.
   */
  lookAgain(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const member of [...this.#members]) {
        if (this.#members.has(member)) this.#look(member);
      }
      if (this.#members.size === 0) this.#wait?.giveUp();
    }, delayMs);
  }

  /** What the arena tells when it goes. */
  get tenant(): Tenant {
    const end = (): void => this.#end(goneError(this.#action));
    const abandon = (): void => {
      if (this.#region.words.length === 0) return;
      // What the thread was told of goes to somebody else.
      this.#core.cancel(this.#thread);
      this.#core.leave(this.#thread);
    };
    return { holds: () => false, endWaits: end, abandon };
  }

  #prepare(): void {
    const me = borrowWaiter();
    try {
      checkSlot(me.slot, this.#region.shape, this.#action);
    } catch (error) {
      returnWaiter();
      throw error;
    }
    this.#me = me;
    this.#core.prepare(me);
    this.#ones = this.#core.ones();
    this.#alls = this.#core.alls();
  }

  /** Has one look, which takes what it waits for. */
  #look(member: Member): void {
    const { pending, take } = member;
    if (take === undefined) return;
    let error: unknown;
    let taken = false;
    try {
      taken = take();
    } catch (thrown) {
      error = thrown ?? new Error(String(thrown));
    }
    // It may have ended all of this.
    if ((!taken && error === undefined) || !this.#members.delete(member)) return;
    if (error === undefined) pending.resolve();
    else pending.reject(error);
  }

  /** After everybody has looked: waits for those who are left. */
  #goOn(): void {
    const me = this.#me;
    if (me === undefined) return;
    if (this.#members.size === 0) {
      this.#leave();
      return;
    }
    this.#wait = new AsyncWait(this.#core.wait(me), {
      end: (isNotified) => this.#notified(me, isNotified),
      fail: () => {
        this.#wait = undefined;
        this.#end(goneError(this.#action));
      },
    });
    this.#wait.begin();
  }

  #notified(me: ThreadWaiter, isNotified: boolean): void {
    this.#wait = undefined;
    const core = this.#core;
    if (this.#members.size === 0) {
      // Too late for whoever it was meant for.
      if (isNotified) core.notify(this.#thread);
      this.#leave();
      return;
    }
    core.prepare(me);
    // Counted once the entry is there again: what is notified later finds it.
    const ones = core.ones();
    const alls = core.alls();
    const count = alls === this.#alls ? Math.max(1, (ones - this.#ones) | 0) : Infinity;
    this.#ones = ones;
    this.#alls = alls;
    this.#tell(count);
    this.#goOn();
  }

  #tell(count: number): void {
    let told = 0;
    for (const member of [...this.#members]) {
      if (!this.#members.has(member)) continue;
      if (member.take !== undefined) {
        this.#look(member);
      } else if (told++ < count) {
        this.#members.delete(member);
        member.pending.resolve();
      }
    }
    if (told === 0 || this.#region.words.length === 0) return;
    // The thread has it in hand: should it die now, somebody else is told.
    this.#core.prepare(this.#thread);
    this.#core.cancel(this.#thread);
  }

  /** Nobody waits any more. */
  #leave(): void {
    const me = this.#me as ThreadWaiter;
    this.#me = undefined;
    this.#keeper.letGo();
    if (this.#region.words.length > 0) {
      this.#core.cancel(me);
      this.#core.leave(me);
    }
    returnWaiter();
  }

  #end(error: unknown): void {
    const members = [...this.#members];
    this.#members.clear();
    if (this.#wait !== undefined) this.#wait.end();
    else if (this.#me !== undefined) this.#leave();
    for (const { pending } of members) pending.reject(error);
  }
}
