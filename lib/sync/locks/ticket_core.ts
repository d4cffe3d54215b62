/**
 * Ticket lock: draw a number, wait until it is served.
 *
 * ```
 *   line 0      | next << 16 | serving | broken |
 *   line 1 + s  | seat | ticket |                                   of slot s
 *   then        | entry 0 | entry 1 | … |                           one for each ticket at a time, size a power of two
 *
 *   seat:   0 nobody, or the id of a thread and
 *                           has drawn `ticket` and waits
 *                HELD       holds the lock with `ticket`
 *                LEFT       gave up; `ticket` may still be in line
 *   entry:  of ticket & (size - 1): 0 somebody is on his feet, or nobody
 *           id + PARKED     sleeps
 *           id + LEFT       gave up
 *           GRANTED         beside any of these: served
 *   broken: 1 once a thread was found dead in line
 * ```
 *
 * Both numbers are in one word, so that one `add` draws a ticket and tells whether it is served at once, and one `add`
 * serves the next and tells whether there is one. A thread that has to wait is served through the entry of its ticket.
 *
 * Invariants
 * - Tickets from `serving` up to `next` are in line: one for each seat at most, and the one being passed over. A seat draws
 *   again only when its last ticket was served, or passed over.
 * - So an entry belongs to one ticket at a time, as long as there are more entries than seats: the ticket that comes to it
 *   next cannot be drawn before this one was served, and its holder gone. An entry is 0 by then.
 * - 16 bits are enough to tell tickets apart that are in line together: there are at most 4,097. Both numbers wrap; they
 *   are compared for being equal, and by their difference modulo 2^16. `serving` wraps by an `add` that takes away 2^16 - 1,
 *   so as not to carry.
 * - One `or` of the releaser decides between serving and give-up: it sets GRANTED, and what it returns says whether the
 *   ticket was given up. A waiter gives up, sleeps and comes back by compare-exchange, which then fails.
 * - Release waits for nobody. Passing over a ticket costs it two more atomic operations.
 * - A thread that comes back before its ticket was passed over goes on with that.
 *
 * A waiter looks as often as it is near: between two looks it pauses once for each ticket before its own.
 *
 * Plain accesses: a seat is written by its own thread alone (of a cohort: by the one that has the cohort's local lock), and
 * others look at it by atomic loads. `tryAcquire` guesses the two numbers plainly, and a compare-exchange makes that good.
 * Entries share lines: who sleeps, or is woken, pays for more than that.
 *
 * Death: as in `queue_core.ts`. Waiters look for dead threads when they wake, and set `broken`. It is not robust.
 *
 * | fair | NUMA-aware | robust | abortable | atomics uncontended |
 * | ---- | ---------- | ------ | --------- | ------------------- |
 * | first come, first served | no | no: tells | yes | 2 |
 *
 * Wins with few threads that have a CPU each: the smallest queue lock, and one that can be held for somebody else, which
 * makes it the global lock of a cohort. Loses with many waiters, who all look at one word; collapses, like every lock that
 * hands on in order, when threads outnumber CPUs (`docs/design/sync.md`).
 *
 * Reed and Kanodia, "Synchronization with eventcounts and sequencers", CACM 1979; proportional back-off: Mellor-Crummey and
 * Scott, TOCS 1991. Being served in a place of one's own: Dice, "Brief announcement: A partitioned ticket lock", SPAA 2011.
 *
 * @module
 */
import type { LockCore } from "./lock_core.ts";
import { findDead, LOOK_MS } from "./queue_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

const PAIR = 0;
const BROKEN = 1;
const TICKET_BITS = 16;
const TICKET_MASK = (1 << TICKET_BITS) - 1;
const DRAW = 1 << TICKET_BITS;

const SEAT = 0;
const TICKET = 1;

const HELD = 1 << 29;
const GRANTED = 1 << 29;
const PARKED = 1 << 30;
const LEFT = 1 << 31;

/** More entries than seats, a power of two. */
function entriesOf(threads: number): number {
  return 2 ** Math.ceil(Math.log2(threads + 1));
}

/**
 * The algorithm of `TicketLock`.
 *
 * Methods take the seat in which to hold it: the thread's own, unless the lock is held by several in turn, who have agreed
 * on who that is.
 */
export class TicketCore implements LockCore {
  readonly #words: Int32Array;
  readonly #threads: number;
  /** Where the entries begin. */
  readonly #entries: number;
  readonly #mask: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   */
  constructor(words: Int32Array, shape: Shape) {
    this.#words = words;
    this.#threads = shape.threads;
    this.#entries = (1 + shape.threads) * LINE_WORDS;
    this.#mask = entriesOf(shape.threads) - 1;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return (1 + threads + Math.ceil(entriesOf(threads) / LINE_WORDS)) * LINE_WORDS;
  }

  tryAcquire(me: Waiter, seat: number = me.slot): boolean {
    const words = this.#words;
    const line = (1 + seat) * LINE_WORDS;
    const before = words[line + SEAT] as number;
    // One that gave up is no obstacle: where its ticket is still in line, the lock is not free.
    if (before !== 0 && (before & LEFT) === 0) return false;
    words[line + SEAT] = me.id | HELD;
    let pair = words[PAIR] as number;
    if (pair >>> TICKET_BITS !== (pair & TICKET_MASK)) pair = Atomics.load(words, PAIR);
    while (pair >>> TICKET_BITS === (pair & TICKET_MASK)) {
      const seen = Atomics.compareExchange(words, PAIR, pair, (pair + DRAW) | 0);
      if (seen === pair) {
        words[line + TICKET] = pair & TICKET_MASK;
        return this.#unlessBroken(me, seat);
      }
      pair = seen;
    }
    words[line + SEAT] = before;
    return false;
  }

  begin(me: Waiter, seat: number = me.slot): boolean {
    const words = this.#words;
    const line = (1 + seat) * LINE_WORDS;
    // An old ticket may be in line: wait() sees to that.
    if (words[line + SEAT] !== 0) return false;
    if (this.#draw(me, line)) return this.#unlessBroken(me, seat);
    const ticket = words[line + TICKET] as number;
    let round = 0;
    for (;;) {
      const distance = (ticket - loadShared(words, PAIR)) & TICKET_MASK;
      if (distance === 0 && this.#accept(me, line, ticket)) return true;
      for (let pauses = 0; pauses < distance || pauses < 1; pauses++) {
        if (!me.spin(round++)) return false;
      }
    }
  }

  *wait(me: Waiter, seat: number = me.slot): Wait<boolean> {
    const words = this.#words;
    const line = (1 + seat) * LINE_WORDS;
    let over = false;
    let slept = false;
    let looks = 0;
    for (;;) {
      const state = Atomics.load(words, line + SEAT);
      const ticket = words[line + TICKET] as number;
      const at = this.#entries + (ticket & this.#mask);
      if (state === me.id && this.#accept(me, line, ticket)) return true;
      if (slept) {
        // Also when it is over: short waits, too, find out in the end.
        slept = false;
        if (findDead(words, this.#threads, me, looks++)) Atomics.store(words, BROKEN, 1);
      }
      const entry = Atomics.load(words, at);
      if (over || Atomics.load(words, BROKEN) !== 0) {
        if (state !== me.id) return false;
        if ((entry & GRANTED) !== 0) continue;
        if (Atomics.compareExchange(words, at, entry, me.id | LEFT) !== entry) continue;
        words[line + SEAT] = me.id | LEFT;
        return false;
      }
      if (state === 0) {
        if (this.#draw(me, line)) return true;
        continue;
      }
      if ((state & LEFT) !== 0) {
        words[line + SEAT] = me.id;
        const left = (state & ID_MASK) | LEFT;
        if (Atomics.compareExchange(words, at, left, 0) === left) continue;
        if (this.#draw(me, line)) return true;
        continue;
      }
      if (state !== me.id) {
        // The thread that had this seat before died in it.
        Atomics.store(words, BROKEN, 1);
        continue;
      }
      if (
        entry !== (me.id | PARKED) &&
        Atomics.compareExchange(words, at, 0, me.id | PARKED) !== 0
      ) continue;
      over = yield LOOK_MS;
      slept = true;
    }
  }

  release(me: Waiter, seat: number = me.slot): boolean {
    const words = this.#words;
    const line = (1 + seat) * LINE_WORDS;
    if (words[line + SEAT] !== (me.id | HELD)) return false;
    let ticket = words[line + TICKET] as number;
    for (;;) {
      const pair = Atomics.add(words, PAIR, ticket === TICKET_MASK ? -TICKET_MASK : 1);
      ticket = (ticket + 1) & TICKET_MASK;
      if (pair >>> TICKET_BITS === ticket) break;
      const at = this.#entries + (ticket & this.#mask);
      const entry = Atomics.or(words, at, GRANTED);
      if ((entry & LEFT) === 0) {
        if ((entry & PARKED) !== 0) me.unpark(entry & ID_MASK);
        break;
      }
      Atomics.store(words, at, 0);
    }
    // Last: as long as the seat is taken, others find out if this thread dies.
    words[line + SEAT] = 0;
    return true;
  }

  holds(me: Waiter, seat: number = me.slot): boolean {
    // Nobody else makes this so or not so.
    return this.#words[(1 + seat) * LINE_WORDS + SEAT] === (me.id | HELD);
  }

  /**
   * Says who holds it, in place of whoever held it in that seat.
   *
   * @param me The new holder.
   * @param seat The seat.
   */
  takeOver(me: Waiter, seat: number): void {
    Atomics.store(this.#words, (1 + seat) * LINE_WORDS + SEAT, me.id | HELD);
  }

  /**
   * Says who will take it over, so that it is found if that thread dies before it does. The holder may end after this.
   *
   * @param me The thread that held it last.
   * @param heir Id of the new holder, which may have taken over already.
   * @param seat The seat.
   */
  bequeath(me: Waiter, heir: number, seat: number): void {
    const line = (1 + seat) * LINE_WORDS;
    Atomics.compareExchange(this.#words, line + SEAT, me.id | HELD, heir | HELD);
  }

  abandon(me: Waiter, dead: number, seat: number = me.slot): boolean {
    if (!this.holds(me, seat)) return false;
    // Whoever waits finds a dead holder there.
    Atomics.store(this.#words, (1 + seat) * LINE_WORDS + SEAT, dead | HELD);
    return true;
  }

  /**
   * Whether a thread was found dead in line.
   *
   * @returns True for good.
   */
  broken(): boolean {
    return Atomics.load(this.#words, BROKEN) !== 0;
  }

  #unlessBroken(me: Waiter, seat: number): boolean {
    if (this.#words[BROKEN] === 0) return true;
    this.release(me, seat);
    return false;
  }

  /** Draws a ticket. True: it is served already. */
  #draw(me: Waiter, line: number): boolean {
    const words = this.#words;
    words[line + SEAT] = me.id;
    const pair = Atomics.add(words, PAIR, DRAW);
    const ticket = pair >>> TICKET_BITS;
    words[line + TICKET] = ticket;
    if ((pair & TICKET_MASK) !== ticket) return false;
    words[line + SEAT] = me.id | HELD;
    return true;
  }

  /** Finds that its ticket is served. */
  #accept(me: Waiter, line: number, ticket: number): boolean {
    const words = this.#words;
    const at = this.#entries + (ticket & this.#mask);
    if ((Atomics.load(words, at) & GRANTED) === 0) return false;
    Atomics.store(words, at, 0);
    words[line + SEAT] = me.id | HELD;
    return true;
  }
}
