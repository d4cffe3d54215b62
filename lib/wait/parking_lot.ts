/**
 * Where a process's threads sleep.
 *
 * One SharedArrayBuffer a process, with a slot for each thread, because `Atomics.wait` works on shared buffers only and
 * locks live in any memory. A lock's words name its sleepers; to sleep is to wait on one's own slot, to wake is to
 * store there and notify. The algorithm of `slots_core.ts` assigns the slots, and does everything else but sleep.
 *
 * @module
 */
import { isSharedArrayBuffer } from "../base/brand.ts";
import { NumaError } from "../base/error.ts";
import { ASLEEP, HEAD, MAX_SLOTS, permitAt, slotOf, SlotsCore } from "./slots_core.ts";
import { FOREVER, LINE_WORDS } from "./waiter.ts";

export { DEAD_ID, type IsAlive, MAX_SLOTS, slotOf } from "./slots_core.ts";

const MAGIC = 0x4e4b504d;

/** The longest that a timer of the runtimes takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The parking lot of a process. */
export class ParkingLot extends SlotsCore {
  /** What the process's threads share. */
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;

  private constructor(buffer: SharedArrayBuffer) {
    const words = new Int32Array(buffer);
    super(words, words[HEAD.slots] as number, (at) => {
      Atomics.notify(words, at, 1);
    });
    this.buffer = buffer;
    this.#words = words;
  }

  /**
   * Makes a lot. One a process: threads of different lots cannot wake each other.
   *
   * @param slots Threads, and waits that do not block, at the same time: at most {@linkcode MAX_SLOTS}.
   * @returns The lot.
   */
  static create(slots: number = MAX_SLOTS): ParkingLot {
    const words = new Int32Array(new SharedArrayBuffer(SlotsCore.words(slots) * 4));
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
      isSharedArrayBuffer(buffer) && buffer.byteLength > LINE_WORDS * 4 &&
      buffer.byteLength % 4 === 0
    ) {
      const words = new Int32Array(buffer);
      const slots = words[HEAD.slots] as number;
      if (words[HEAD.magic] === MAGIC && words.length === SlotsCore.words(slots)) {
        return new ParkingLot(buffer);
      }
    }
    throw new NumaError("EINVAL", action, {
      why: "the parking lot that came with it is invalid",
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
   * @param parent The thread that this is a wait of. Default: none, the slot is a thread's own.
   * @returns The id. It is alive from now on.
   * @throws {NumaError} `EAGAIN` when all slots are taken.
   */
  override claim(parent: number = 0): number {
    const id = super.claim(parent);
    if (id !== 0) return id;
    throw new NumaError("EAGAIN", "wait for another thread", {
      why: `all ${this.#words[HEAD.slots]} slots for threads and waits are taken`,
      fix: "Wait for fewer things at the same time.",
    });
  }

  /**
   * Sleeps until woken.
   *
   * @param id The calling thread's id.
   * @param ms The longest time.
   * @returns False when the time passed.
   */
  park(id: number, ms: number): boolean {
    let woken = true;
    if (this.beginSleep(id)) {
      woken = Atomics.wait(this.#words, permitAt(id), ASLEEP, ms) !== "timed-out";
    }
    this.endSleep(id);
    return woken;
  }

  /**
   * Sleeps without blocking the thread.
   *
   * @param id The id that sleeps: claimed for this wait.
   * @param ms The longest time.
   * @returns A promise for false when the time passed.
   */
  async parkAsync(id: number, ms: number): Promise<boolean> {
    let woken = true;
    if (this.beginSleep(id)) {
      const wait = Atomics.waitAsync(this.#words, permitAt(id), ASLEEP);
      if (wait.async) {
        // Also keeps the process alive until the wait has really ended, which on Deno and Node nothing else does.
        const timer = setInterval(() => {
          woken = false;
          // A waker that has died may have put its wake-up there, and has not notified.
          this.rouse(slotOf(id));
        }, ms === FOREVER ? MAX_TIMER_MS : ms);
        await wait.value;
        clearInterval(timer);
      }
    }
    this.endSleep(id);
    return woken;
  }
}
