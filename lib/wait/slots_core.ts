/**
 * The slots of a process's threads: who has which, who is alive, who is to end, and who sleeps.
 *
 * ```
 *   line 0:      | magic | slots | used | stamp |        used: slots from here on were never reserved
 *   line 1 + s:  | permit | owner | generation | runs | parent | known | identity low, high |
 *
 *   owner:   0 ---- reserve ----> RESERVED + parent ---- all words are written ----> id
 *            ^                            |                                          |
 *            +---- parent is buried ------+                                          |
 *            +---- released by its owner, or buried ---------------------------------+
 * ```
 *
 * - `owner`: the id that has the slot, 0 for none. An id is alive while it stands here.
 * - `generation` makes each claim's id another one: id = generation << 12 | slot. It wraps after 131,071 claims of the
 *   slot, from where ids come again in the same order.
 * - `parent`: the id of the thread that dies with it: itself, or for a wait that does not block, the thread that awaits.
 * - `runs`: the id, until it is to end. Any other value ends it, so a thread that was declared dead, and whose slot
 *   somebody else has now, is to end as well.
 * - `known`, `identity`: the OS thread as the C helper names it, so that anybody can find out whether it is gone.
 * - `permit`: 0 nothing, 1 a wake-up that has not been slept off, -1 asleep.
 *
 * Invariants
 * 1. While `owner` is an id, `generation` and `parent` are those of that id, `known` and `runs` those of that id or 0.
 *    They are written while the slot is reserved, which only one claim does at a time, and stay until the next
 *    reservation.
 * 2. So whoever finds an id in `owner`, looks at the other words, and then finds the same id there still, has seen that
 *    id's words. Whoever changes `owner` or `runs` because of what it saw does so by a compare-exchange from that id.
 *    Otherwise a claim in between would be undone, and a live thread be dead for the others, who then take its locks.
 * 3. A buried thread's own slot is freed last. As long as it is alive somebody else buries it, should the one who does so
 *    die on the way.
 * 4. `used` is raised before a slot is reserved: no slot that belongs to anybody is outside of what a burial looks at.
 *
 * Sleeping. A sleeper changes `permit` from 0 to -1 and sleeps on that word as long as it is -1; a waker puts 1 there and
 * notifies when it was -1. Wake-ups do not add up, and one may be meant for an earlier owner of the slot: sleepers look
 * again at what they wait for whenever they wake, after they have set `permit` back. A waker has changed what the
 * sleeper waits for before it puts 1 there, so a wake-up that is thrown away was not needed. A waker may die after it has put
 * 1 there, and before it notifies: so a burial notifies also where it finds 1.
 *
 * Death. Only threads whose last line of code has run may be buried; they claim nothing any more. What a thread leaves
 * that dies on its way through here: a slot that it has reserved for a wait of its own is given back by its burial; one
 * that it has reserved for another thread is lost (a thread's start takes a few stores there).
 *
 * Cost: a claim one load for each slot taken, then about ten atomics; a burial two loads for each slot in use and an
 * exchange to wake it; `alive` and `stopped` one load each.
 *
 * @module
 */
import { raise } from "./slot_words.ts";
import { ID_MASK, LINE_WORDS } from "./waiter.ts";

const SLOT_BITS = 12;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const LAST_GENERATION = 2 ** 17 - 1;

/** Words of the first line. */
export const HEAD = { magic: 0, slots: 1, used: 2, stamp: 3 } as const;

const PERMIT = 0;
const OWNER = 1;
const GENERATION = 2;
const RUNS = 3;
const PARENT = 4;
const KNOWN = 5;
const IDENTITY_LOW = 6;
const IDENTITY_HIGH = 7;

const RESERVED = ID_MASK + 1;

/** The permit word of a thread that sleeps. */
export const ASLEEP: number = -1;
const AWAKE = 1;

/** An id that no claim ever gives, as its generation is 0: it stands for somebody who is dead. */
export const DEAD_ID = 1;

/** The most slots. */
export const MAX_SLOTS: number = 1 << SLOT_BITS;

/**
 * The slot of an id.
 *
 * @param id A thread's id.
 * @returns Its slot.
 */
export function slotOf(id: number): number {
  return id & SLOT_MASK;
}

function lineOf(slot: number): number {
  return (1 + slot) * LINE_WORDS;
}

/**
 * The word that a thread sleeps on.
 *
 * @param id Its id.
 * @returns The word's index.
 */
export function permitAt(id: number): number {
  return lineOf(slotOf(id)) + PERMIT;
}

/** Tells whether an OS thread can still run code, by the identity that the C helper gave it. */
export type IsAlive = (identity: number) => boolean;

/** The algorithm of `ParkingLot`, but for sleeping and notifying themselves. */
export class SlotsCore {
  readonly #words: Int32Array;
  readonly #slots: number;
  readonly #notify: (at: number) => void;

  /**
   * @param words Its memory: zero at first, but for the first line, which belongs to the caller.
   * @param slots How many slots.
   * @param notify Ends the sleep of the thread that sleeps on a word of that index, if one does.
   */
  constructor(words: Int32Array, slots: number, notify: (at: number) => void) {
    this.#words = words;
    this.#slots = slots;
    this.#notify = notify;
  }

  /**
   * The words that one takes.
   *
   * @param slots How many slots.
   * @returns 32-bit words.
   */
  static words(slots: number): number {
    return (1 + slots) * LINE_WORDS;
  }

  /**
   * Takes a slot: the lowest that is free.
   *
   * @param parent The thread that this is a wait of; 0 when the slot is a thread's own.
   * @returns The id, alive from now on; 0 when all slots are taken.
   */
  claim(parent: number = 0): number {
    const words = this.#words;
    const mine = RESERVED | parent;
    for (let slot = 0; slot < this.#slots; slot++) {
      const at = lineOf(slot);
      if (Atomics.load(words, at + OWNER) !== 0) continue;
      raise(words, HEAD.used, slot + 1);
      if (Atomics.compareExchange(words, at + OWNER, 0, mine) !== 0) continue;
      const before = Atomics.load(words, at + GENERATION);
      const generation = before >= LAST_GENERATION ? 1 : before + 1;
      const id = generation << SLOT_BITS | slot;
      Atomics.store(words, at + GENERATION, generation);
      Atomics.store(words, at + KNOWN, 0);
      Atomics.store(words, at + RUNS, id);
      Atomics.store(words, at + PARENT, parent === 0 ? id : parent);
      if (Atomics.compareExchange(words, at + OWNER, mine, id) === mine) return id;
    }
    return 0;
  }

  /**
   * Gives a slot back: its owner does nothing any more under this id.
   *
   * @param id The id. One that is not alive is left alone.
   */
  release(id: number): void {
    Atomics.compareExchange(this.#words, lineOf(slotOf(id)) + OWNER, id, 0);
  }

  /**
   * Says that a thread is gone, with all its waits, and wakes everybody to look at what it left.
   *
   * @param id The thread's id. Its last line of code has run. One that is not alive any more was buried before.
   */
  bury(id: number): void {
    const used = Atomics.load(this.#words, HEAD.used);
    for (let slot = 0; slot < used; slot++) {
      if (slot !== slotOf(id)) this.#free(slot, id);
    }
    this.#free(slotOf(id), id);
    for (let slot = 0; slot < used; slot++) this.rouse(slot);
  }

  /** Frees a slot if it belongs to a dead thread. */
  #free(slot: number, dead: number): void {
    const words = this.#words;
    const at = lineOf(slot);
    const owner = Atomics.load(words, at + OWNER);
    if (owner !== (RESERVED | dead)) {
      if (owner === 0 || (owner & RESERVED) !== 0) return;
      if (Atomics.load(words, at + PARENT) !== dead) return;
      Atomics.compareExchange(words, at + RUNS, owner, 0);
    }
    Atomics.compareExchange(words, at + OWNER, owner, 0);
  }

  /**
   * Buries threads that have ended without anybody's telling.
   *
   * @param isAlive Tells whether a thread can still run code.
   */
  reap(isAlive: IsAlive): void {
    const words = this.#words;
    const used = Atomics.load(words, HEAD.used);
    for (let slot = 0; slot < used; slot++) {
      const at = lineOf(slot);
      const id = Atomics.load(words, at + OWNER);
      if (id === 0 || (id & RESERVED) !== 0 || Atomics.load(words, at + PARENT) !== id) continue;
      const identity = this.identityOf(id);
      if (identity !== 0 && !isAlive(identity)) this.bury(id);
    }
  }

  /**
   * Whether an id is still in use.
   *
   * @param id The id.
   * @returns False once it was released or buried.
   */
  alive(id: number): boolean {
    return Atomics.load(this.#words, lineOf(slotOf(id)) + OWNER) === id;
  }

  /**
   * Writes down which OS thread an id is.
   *
   * @param id The calling thread's id. Nothing is written when it is not alive any more.
   * @param identity How the C helper names the calling thread.
   */
  setIdentity(id: number, identity: number): void {
    if (!this.alive(id)) return;
    const words = this.#words;
    const at = lineOf(slotOf(id));
    Atomics.store(words, at + IDENTITY_LOW, identity | 0);
    Atomics.store(words, at + IDENTITY_HIGH, Math.floor(identity / 2 ** 32));
    Atomics.store(words, at + KNOWN, 1);
  }

  /**
   * Which OS thread an id is.
   *
   * @param id The id.
   * @returns How the C helper names it; 0 while it has not said, and once it is not alive any more.
   */
  identityOf(id: number): number {
    const words = this.#words;
    const at = lineOf(slotOf(id));
    if (Atomics.load(words, at + KNOWN) === 0) return 0;
    const high = Atomics.load(words, at + IDENTITY_HIGH) >>> 0;
    const low = Atomics.load(words, at + IDENTITY_LOW) >>> 0;
    // Last: if it has the slot still, all that was read was its own.
    return this.alive(id) ? high * 2 ** 32 + low : 0;
  }

  /**
   * Makes a thread stop waiting, now and later.
   *
   * @param id Its id. Nothing happens when it is not alive any more.
   */
  stop(id: number): void {
    Atomics.compareExchange(this.#words, lineOf(slotOf(id)) + RUNS, id, 0);
    this.unpark(id);
  }

  /**
   * Whether a thread is to end.
   *
   * @param id Its id.
   * @returns True once {@linkcode SlotsCore.stop} was called, it was buried, or its slot is another thread's.
   */
  stopped(id: number): boolean {
    return Atomics.load(this.#words, lineOf(slotOf(id)) + RUNS) !== id;
  }

  /**
   * Wakes a thread, or spares it its next sleep.
   *
   * @param id Its id. One that is gone is left alone.
   */
  unpark(id: number): void {
    if (this.alive(id)) this.wake(slotOf(id));
  }

  /**
   * Wakes whoever has a slot.
   *
   * @param slot The slot.
   */
  protected wake(slot: number): void {
    const at = lineOf(slot) + PERMIT;
    if (Atomics.exchange(this.#words, at, AWAKE) === ASLEEP) this.#notify(at);
  }

  /**
   * Wakes whoever has a slot, also one whose waker has died before it notified.
   *
   * @param slot The slot.
   */
  protected rouse(slot: number): void {
    const at = lineOf(slot) + PERMIT;
    if (Atomics.exchange(this.#words, at, AWAKE) !== 0) this.#notify(at);
  }

  /**
   * Before a sleep.
   *
   * @param id The calling thread's id.
   * @returns Whether to sleep, on the word {@linkcode permitAt} as long as it is {@linkcode ASLEEP}; false when
   * somebody has woken the thread already.
   */
  beginSleep(id: number): boolean {
    return Atomics.compareExchange(this.#words, permitAt(id), 0, ASLEEP) === 0;
  }

  /**
   * After a sleep, or in place of one, and before another look at what is waited for.
   *
   * @param id The calling thread's id.
   */
  endSleep(id: number): void {
    Atomics.store(this.#words, permitAt(id), 0);
  }
}
