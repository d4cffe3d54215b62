/**
 * Where a process's threads sleep, and who is alive.
 *
 * One SharedArrayBuffer a process, with a slot for each thread, because `Atomics.wait` works on shared buffers only and
 * locks live in any memory. A lock's words name its sleepers; to sleep is to wait on one's own slot, to wake is to
 * store there and notify.
 *
 * ```
 *   line 0:      | magic | slots | used | stamp |                         used: slots from here on were never claimed
 *   line 1 + s:  | permit | owner | generation | stop | parent | domain | known | identity low, high |
 * ```
 *
 * - `permit`: 0 nothing, 1 a wake-up that has not been slept off, -1 asleep. Wake-ups do not add up, and one may be meant
 *   for an earlier user of the slot: sleepers look again whenever they wake.
 * - `owner`: the id of the thread that has the slot, 0 for nobody. An id is alive while it stands here.
 * - `generation` makes each claim's id another one: id = generation << 12 | slot. It wraps after 131,072 claims.
 * - `stop`: 1 once the thread is to end; it then sleeps no more.
 * - `parent`: the id of the thread that dies with it: itself, or for a wait that does not block, the thread that awaits.
 * - `known`, `identity`: the OS thread as the C helper names it, so that anybody can find out whether it is gone.
 *
 * A slot is released by its owner, or by somebody who knows that the thread is gone ({@linkcode ParkingLot.bury}). Then
 * all sleepers are woken: what the dead thread has held, or was about to pass on, is theirs to find.
 *
 * @module
 */
import { NumaError } from "../runtime/error.ts";
import { FOREVER, LINE_WORDS } from "./waiter.ts";

const MAGIC = 0x4e4b504c;
const SLOT_BITS = 12;
const SLOT_MASK = 2 ** SLOT_BITS - 1;
const GENERATION_MASK = 2 ** 17 - 1;

const HEAD = { magic: 0, slots: 1, used: 2, stamp: 3 } as const;
const SLOT = {
  permit: 0,
  owner: 1,
  generation: 2,
  stop: 3,
  parent: 4,
  domain: 5,
  known: 6,
  identityLow: 7,
  identityHigh: 8,
} as const;

const ASLEEP = -1;
const PERMIT = 1;

/** The most slots that a lot can have. */
export const MOST_SLOTS: number = 2 ** SLOT_BITS;

/** The longest that a timer of the runtimes takes. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/**
 * The slot of an id.
 *
 * @param id A thread's id in its lot.
 * @returns Its slot.
 */
export function slotOf(id: number): number {
  return id & SLOT_MASK;
}

function lineOf(id: number): number {
  return (1 + slotOf(id)) * LINE_WORDS;
}

/** Who tells whether an OS thread can still run code, by the identity that the C helper gave it. */
export type IsAlive = (identity: number) => boolean;

/** The parking lot of a process. */
export class ParkingLot {
  /** What the process's threads share. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #slots: number;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
    this.#slots = this.#words[HEAD.slots] as number;
  }

  /**
   * Makes a lot. One a process: threads of different lots cannot wake each other.
   *
   * @param slots Threads, and waits that do not block, at the same time: at most {@linkcode MOST_SLOTS}.
   * @returns The lot.
   */
  static create(slots: number = MOST_SLOTS): ParkingLot {
    const words = new Int32Array(new SharedArrayBuffer((1 + slots) * LINE_WORDS * 4));
    words[HEAD.magic] = MAGIC;
    words[HEAD.slots] = slots;
    words[HEAD.stamp] = 1 + Math.floor(Math.random() * (2 ** 31 - 1));
    return new ParkingLot(words.buffer);
  }

  /**
   * The lot of another thread of this process.
   *
   * @param buffer Its {@linkcode ParkingLot.buffer}, as a message brought it.
   * @param action What was asked, as it follows "Cannot".
   * @returns The lot.
   * @throws {NumaError} `EINVAL` when it is none.
   */
  static from(buffer: unknown, action: string): ParkingLot {
    if (
      buffer instanceof SharedArrayBuffer && buffer.byteLength > LINE_WORDS * 4 &&
      buffer.byteLength % 4 === 0
    ) {
      const words = new Int32Array(buffer);
      const slots = words[HEAD.slots] as number;
      if (words[HEAD.magic] === MAGIC && words.length === (1 + slots) * LINE_WORDS) {
        return new ParkingLot(buffer);
      }
    }
    throw new NumaError("EINVAL", action, {
      why: "what came with it is no parking lot",
      fix: "Give what toHandle() returned.",
    });
  }

  /** Tells this lot from others. */
  get stamp(): number {
    return this.#words[HEAD.stamp] as number;
  }

  /**
   * Takes a slot.
   *
   * @param parent The thread that this is a wait of; the slot is a thread's own unless given.
   * @returns The id. It is alive from now on.
   * @throws {NumaError} `EAGAIN` when all slots are taken.
   */
  claim(parent: number = 0): number {
    const words = this.#words;
    for (let slot = 0; slot < this.#slots; slot++) {
      const at = lineOf(slot);
      if (Atomics.load(words, at + SLOT.owner) !== 0) continue;
      const generation = Atomics.add(words, at + SLOT.generation, 1) & GENERATION_MASK;
      // Not 0 for slot 0 of generation 0, which would be nobody.
      const id = (generation === 0 ? GENERATION_MASK : generation) << SLOT_BITS | slot;
      if (Atomics.compareExchange(words, at + SLOT.owner, 0, id) !== 0) continue;
      Atomics.store(words, at + SLOT.known, 0);
      Atomics.store(words, at + SLOT.stop, 0);
      Atomics.store(words, at + SLOT.parent, parent === 0 ? id : parent);
      let used = Atomics.load(words, HEAD.used);
      while (used <= slot) {
        used = Atomics.compareExchange(words, HEAD.used, used, slot + 1);
      }
      return id;
    }
    throw new NumaError("EAGAIN", "wait for another thread", {
      why: `all ${this.#slots} slots for threads and waits are taken`,
      fix: "Wait for fewer things at the same time.",
    });
  }

  /**
   * Gives a slot back: its owner does nothing any more under this id.
   *
   * @param id The id.
   */
  release(id: number): void {
    Atomics.compareExchange(this.#words, lineOf(id) + SLOT.owner, id, 0);
  }

  /**
   * Says that a thread is gone, with all its waits, and wakes everybody to look at what it left.
   *
   * @param id The thread's id. Its last line of code has run.
   */
  bury(id: number): void {
    const words = this.#words;
    const used = Atomics.load(words, HEAD.used);
    for (let slot = 0; slot < used; slot++) {
      const at = lineOf(slot);
      if (Atomics.load(words, at + SLOT.parent) === id) Atomics.store(words, at + SLOT.owner, 0);
    }
    for (let slot = 0; slot < used; slot++) this.#wake(lineOf(slot));
  }

  /**
   * Buries threads that have ended without anybody's telling.
   *
   * @param isAlive Who knows.
   */
  reap(isAlive: IsAlive): void {
    const words = this.#words;
    const used = Atomics.load(words, HEAD.used);
    for (let slot = 0; slot < used; slot++) {
      const at = lineOf(slot);
      const id = Atomics.load(words, at + SLOT.owner);
      if (id === 0 || Atomics.load(words, at + SLOT.parent) !== id) continue;
      const identity = this.identityOf(id);
      // Looked at again: the slot may have got a new owner meanwhile.
      if (identity === 0 || isAlive(identity)) continue;
      if (Atomics.load(words, at + SLOT.owner) === id) this.bury(id);
    }
  }

  /**
   * Whether an id is still in use.
   *
   * @param id The id.
   * @returns False once it was released or buried.
   */
  alive(id: number): boolean {
    return Atomics.load(this.#words, lineOf(id) + SLOT.owner) === id;
  }

  /**
   * Writes down which OS thread an id is.
   *
   * @param id The calling thread's id.
   * @param identity How the C helper names it.
   */
  setIdentity(id: number, identity: number): void {
    const at = lineOf(id);
    Atomics.store(this.#words, at + SLOT.identityLow, identity | 0);
    Atomics.store(this.#words, at + SLOT.identityHigh, Math.floor(identity / 2 ** 32));
    Atomics.store(this.#words, at + SLOT.known, 1);
  }

  /**
   * Which OS thread an id is.
   *
   * @param id The id.
   * @returns How the C helper names it; 0 while it has not said.
   */
  identityOf(id: number): number {
    const words = this.#words;
    const at = lineOf(id);
    if (Atomics.load(words, at + SLOT.known) === 0) return 0;
    const high = Atomics.load(words, at + SLOT.identityHigh) >>> 0;
    return high * 2 ** 32 + (Atomics.load(words, at + SLOT.identityLow) >>> 0);
  }

  /**
   * Makes a thread stop waiting, now and later.
   *
   * @param id Its id.
   */
  stop(id: number): void {
    const at = lineOf(id);
    Atomics.store(this.#words, at + SLOT.stop, 1);
    this.#wake(at);
  }

  /**
   * Whether a thread is to end.
   *
   * @param id Its id.
   * @returns Whether {@linkcode ParkingLot.stop} was called.
   */
  stopped(id: number): boolean {
    return Atomics.load(this.#words, lineOf(id) + SLOT.stop) === 1;
  }

  /**
   * Wakes a thread, or spares it its next sleep.
   *
   * @param id Its id. One that is gone is left alone.
   */
  unpark(id: number): void {
    if (this.alive(id)) this.#wake(lineOf(id));
  }

  #wake(at: number): void {
    const before = Atomics.exchange(this.#words, at + SLOT.permit, PERMIT);
    if (before === ASLEEP) Atomics.notify(this.#words, at + SLOT.permit, 1);
  }

  /**
   * Sleeps until woken.
   *
   * @param id The calling thread's id.
   * @param ms The longest time.
   * @returns False when the time passed.
   */
  park(id: number, ms: number): boolean {
    const words = this.#words;
    const at = lineOf(id) + SLOT.permit;
    let woken = true;
    if (Atomics.compareExchange(words, at, 0, ASLEEP) === 0) {
      woken = Atomics.wait(words, at, ASLEEP, ms) !== "timed-out";
    }
    Atomics.store(words, at, 0);
    return woken;
  }

  /**
   * Sleeps without blocking the thread.
   *
   * @param id The id that sleeps: claimed for this wait.
   * @param ms The longest time.
   * @returns Resolves to false when the time passed.
   */
  async parkAsync(id: number, ms: number): Promise<boolean> {
    const words = this.#words;
    const at = lineOf(id) + SLOT.permit;
    let woken = true;
    if (Atomics.compareExchange(words, at, 0, ASLEEP) === 0) {
      const wait = Atomics.waitAsync(words, at, ASLEEP);
      if (wait.async) {
        // Also keeps the process alive until the wait has really ended, which on Deno and Node nothing else does.
        const timer = setInterval(() => {
          woken = false;
          this.#wake(lineOf(id));
        }, ms === FOREVER ? MOST_TIMER_MS : ms);
        await wait.value;
        clearInterval(timer);
      }
    }
    Atomics.store(words, at, 0);
    return woken;
  }
}
