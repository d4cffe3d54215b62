/**
 * MCS: a queue in which every waiter spins on a line of its own.
 *
 * ```
 *   line 0      | tail | broken |
 *   line 1 + s  | state | next | sleeper |                          the node of slot s
 *
 *   tail, next:  slot + 1 of the last node, of the one behind; 0: nobody | next only: ABANDONED
 *   state:       0 free, or the id of the thread and
 *                            waits
 *                P           waits, asleep
 *                P H         granted: the lock is its own, it has not noticed yet
 *                  H         holds the lock
 *                    L       gave up; its place is still in the queue
 *                P   L       is giving the lock back
 *                P H L       passed over, or left behind; whoever passed it frees it
 *   sleeper:     id of the thread that sleeps until its own node is free
 *   broken:      1 once a thread was found dead in the queue
 * ```
 *
 * To acquire is to exchange the tail for one's own node and, if there was somebody, to link behind it. To release is to
 * set the tail back, or to grant: one `or` on the successor's state.
 *
 * Invariants
 * - Nodes from the holder's to the tail's are linked by `next`, but for those that have exchanged and not linked yet.
 * - That one `or` decides between grant and give-up: it sets P and H, and what it returns says whether the node waited, or
 *   had been given up (L). A waiter gives up, sleeps and comes back by compare-exchange, which then fails.
 * - Release waits for nobody. Where the successor has not linked yet, it writes ABANDONED into `next` and leaves; linking is
 *   an exchange, and who finds ABANDONED there has the lock, and frees the node before it.
 * - A node that was given up stays where it is. If its thread comes back before it was passed over, it waits on at its
 *   old place; if it was passed over just now, the thread waits until the node is free, for as long as a release takes.
 * - A state is 0 for its thread to use; another thread makes it 0 only after `next` is.
 *
 * Plain accesses are those of the node's own thread: to `state` while nobody else can change it (0, H, and before the
 * node is in the queue), and to `next` as a guess that a compare-exchange on the tail makes good. `broken` is looked at
 * plainly once one has the lock, where being late does no harm.
 *
 * Death. A dead thread cannot hand on what it holds or was granted. Waiters look for one when they wake, at least each
 * {@linkcode SLICE_MS}, and set `broken`, for all and for good: what began before may still be granted, nothing else.
 * A thread that dies within acquire or release may break the lock, too, even where the lock would be free. One that died
 * after giving up does no harm.
 *
 * | fair | NUMA-aware | robust | abortable | atomics uncontended |
 * | ---- | ---------- | ------ | --------- | ------------------- |
 * | first come, first served | no | no: tells | yes | 2 |
 *
 * Wins where threads have a CPU each and want the lock all the time: a hand-off moves one line. Collapses when threads
 * outnumber CPUs, as all that hand on in order do: every hand-off then waits for a thread that does not run. Spinning alone
 * that is four to five orders of magnitude; yielding and sleeping keep it going, at a context switch for each acquisition,
 * a hundred times slower than the `Mutex` (`docs/design/sync.md`).
 *
 * Mellor-Crummey and Scott, "Algorithms for scalable synchronization on shared-memory multiprocessors", TOCS 1991. Places
 * that stay in the queue when given up: after Scott and Scherer, "Scalable queue-based spin locks with timeout", PPoPP
 * 2001, and Chabbi et al., HMCS-T, 2017.
 *
 * @module
 */
import type { LockCore } from "./lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** A sleeper looks for dead threads this often, in milliseconds. */
export const SLICE_MS = 20;

const TAIL = 0;
const BROKEN = 1;

const STATE = 0;
const NEXT = 1;
const SLEEPER = 2;

const HELD = 1 << 29;
const PARKED = 1 << 30;
const LEFT = 1 << 31;
const GRANTED = HELD | PARKED;
const LEAVING = LEFT | PARKED;
const PASSED = LEFT | GRANTED;

const ABANDONED = -1;
/** How many nodes are looked at each time for dead threads. */
const NODES_A_LOOK = 64;

/** How {@linkcode McsCore.obtain} ended. */
export const GAVE_UP = 0;
/** With the lock, and there is time left. */
export const GOT = 1;
/** With the lock, when it was about to give up. */
export const GOT_LATE = 2;

/** The algorithm of `McsLock`. */
export class McsCore implements LockCore {
  readonly #words: Int32Array;
  readonly #threads: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape For whom.
   */
  constructor(words: Int32Array, shape: Shape) {
    this.#words = words;
    this.#threads = shape.threads;
  }

  /**
   * The words that one takes.
   *
   * @param shape For whom.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return (1 + threads) * LINE_WORDS;
  }

  tryAcquire(me: Waiter): boolean {
    const words = this.#words;
    const node = (1 + me.slot) * LINE_WORDS;
    if (words[node + STATE] !== 0) return false;
    words[node + STATE] = me.id | HELD;
    if (Atomics.compareExchange(words, TAIL, 0, me.slot + 1) === 0) return this.#unlessBroken(me);
    words[node + STATE] = 0;
    return false;
  }

  begin(me: Waiter): boolean {
    const words = this.#words;
    const node = (1 + me.slot) * LINE_WORDS;
    // Its old place is still in the queue: wait() sees to that.
    if (words[node + STATE] !== 0) return false;
    if (this.#join(me, node)) return this.#unlessBroken(me);
    let round = 0;
    do if (this.#accept(me, node)) return true; while (me.spin(round++));
    return false;
  }

  *wait(me: Waiter): Wait<boolean> {
    return (yield* this.obtain(me)) !== GAVE_UP;
  }

  /**
   * As {@linkcode McsCore.wait}, for who has more to wait for.
   *
   * @param me Who.
   * @returns {@linkcode GAVE_UP}, {@linkcode GOT} or {@linkcode GOT_LATE}.
   */
  *obtain(me: Waiter): Wait<number> {
    const words = this.#words;
    const node = (1 + me.slot) * LINE_WORDS;
    let over = false;
    let slept = false;
    let looks = 0;
    for (;;) {
      if (this.#accept(me, node)) return over ? GOT_LATE : GOT;
      if (slept) {
        // Also when it is over: short waits, too, find out in the end.
        slept = false;
        if (this.#findDead(me, looks++)) Atomics.store(words, BROKEN, 1);
      }
      const state = Atomics.load(words, node + STATE);
      const flags = state & ~ID_MASK;
      const queued = state === me.id || state === (me.id | PARKED);
      if (over || Atomics.load(words, BROKEN) !== 0) {
        if (!queued) {
          if (state === (me.id | GRANTED)) continue;
          Atomics.store(words, node + SLEEPER, 0);
          return GAVE_UP;
        } else if (
          Atomics.compareExchange(words, node + STATE, state, me.id | LEFT) === state
        ) return GAVE_UP;
        continue;
      }
      if (state === 0) {
        Atomics.store(words, node + SLEEPER, 0);
        if (this.#join(me, node)) return GOT;
        continue;
      }
      if (flags === LEFT) {
        Atomics.compareExchange(words, node + STATE, state, me.id);
        continue;
      }
      if (flags === PASSED) {
        if (Atomics.load(words, node + SLEEPER) !== me.id) {
          Atomics.store(words, node + SLEEPER, me.id);
          continue;
        }
      } else if (!queued) {
        if (state === (me.id | GRANTED)) continue;
        // The thread that had this slot before died with the node in use.
        Atomics.store(words, BROKEN, 1);
        continue;
      } else if (Atomics.compareExchange(words, node + STATE, state, me.id | PARKED) !== state) {
        continue;
      }
      over = yield SLICE_MS;
      slept = true;
    }
  }

  release(me: Waiter): boolean {
    const words = this.#words;
    const node = (1 + me.slot) * LINE_WORDS;
    if (words[node + STATE] !== (me.id | HELD)) return false;
    if (
      words[node + NEXT] === 0 &&
      Atomics.compareExchange(words, TAIL, me.slot + 1, 0) === me.slot + 1
    ) words[node + STATE] = 0;
    else this.#handOn(me);
    return true;
  }

  /**
   * Gives the lock to the next waiter if there is one.
   *
   * @param me The holder.
   * @returns The id of who has it now; 0 when nobody waits, and `me` still holds it.
   */
  pass(me: Waiter): number {
    const words = this.#words;
    const first = (1 + me.slot) * LINE_WORDS;
    if (words[first + NEXT] === 0) return 0;
    let node = first;
    for (;;) {
      const next = Atomics.load(words, node + NEXT);
      if (next === 0) return 0;
      node = next * LINE_WORDS;
      const state = Atomics.or(words, node + STATE, GRANTED);
      if ((state & LEFT) !== 0) continue;
      const heir = state & ID_MASK;
      if ((state & PARKED) !== 0) me.unpark(heir);
      this.#freeBetween(me, first, node);
      return heir;
    }
  }

  holds(me: Waiter): boolean {
    // Nobody else makes this so or not so.
    return this.#words[(1 + me.slot) * LINE_WORDS + STATE] === (me.id | HELD);
  }

  abandon(me: Waiter, dead: number): boolean {
    if (!this.holds(me)) return false;
    // Whoever waits finds a dead holder there.
    Atomics.store(this.#words, (1 + me.slot) * LINE_WORDS + STATE, dead | HELD);
    return true;
  }

  /**
   * Whether a thread was found dead in the queue.
   *
   * @returns True for good.
   */
  broken(): boolean {
    return Atomics.load(this.#words, BROKEN) !== 0;
  }

  #unlessBroken(me: Waiter): boolean {
    if (this.#words[BROKEN] === 0) return true;
    this.release(me);
    return false;
  }

  /** Takes a place at the end. True: there was nobody, or somebody who had just left. */
  #join(me: Waiter, node: number): boolean {
    const words = this.#words;
    words[node + STATE] = me.id;
    const before = Atomics.exchange(words, TAIL, me.slot + 1);
    if (before !== 0) {
      if (Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED) {
        return false;
      }
      this.#free(me, before * LINE_WORDS);
    }
    words[node + STATE] = me.id | HELD;
    return true;
  }

  #accept(me: Waiter, node: number): boolean {
    const words = this.#words;
    if (Atomics.load(words, node + STATE) !== (me.id | GRANTED)) return false;
    words[node + STATE] = me.id | HELD;
    return true;
  }

  /** Grants the lock to the first that has not given up. */
  #handOn(me: Waiter): void {
    const words = this.#words;
    const first = (1 + me.slot) * LINE_WORDS;
    let node = first;
    for (;;) {
      const place = node / LINE_WORDS;
      let next = Atomics.load(words, node + NEXT);
      if (next === 0) {
        if (Atomics.compareExchange(words, TAIL, place, 0) === place) {
          if (node !== first) this.#free(me, node);
          break;
        }
        // Somebody is between exchange and link. Once that is written, the node may be freed at any time.
        if (node === first) Atomics.store(words, node + STATE, me.id | LEAVING);
        next = Atomics.compareExchange(words, node + NEXT, 0, ABANDONED);
        if (next === 0) {
          if (node !== first) break;
          Atomics.compareExchange(words, node + STATE, me.id | LEAVING, me.id | PASSED);
          return;
        }
      }
      if (node !== first) this.#free(me, node);
      node = next * LINE_WORDS;
      const state = Atomics.or(words, node + STATE, GRANTED);
      if ((state & LEFT) !== 0) continue;
      if ((state & PARKED) !== 0) me.unpark(state & ID_MASK);
      break;
    }
    // Last: as long as it is in use, others find out if this thread dies.
    Atomics.store(words, first + NEXT, 0);
    words[first + STATE] = 0;
  }

  /** Frees the nodes from one that this thread holds to the one that it granted. */
  #freeBetween(me: Waiter, first: number, heir: number): void {
    const words = this.#words;
    let node = Atomics.load(words, first + NEXT) * LINE_WORDS;
    while (node !== heir) {
      const next = Atomics.load(words, node + NEXT);
      this.#free(me, node);
      node = next * LINE_WORDS;
    }
    Atomics.store(words, first + NEXT, 0);
    words[first + STATE] = 0;
  }

  /** Lets a node's own thread have it again. */
  #free(me: Waiter, node: number): void {
    const words = this.#words;
    Atomics.store(words, node + NEXT, 0);
    Atomics.store(words, node + STATE, 0);
    // Looked at after the state is 0: who sleeps later has looked later. Cleared by who sleeps.
    const sleeper = Atomics.load(words, node + SLEEPER);
    if (sleeper !== 0) me.unpark(sleeper);
  }

  /** Looks at some nodes: all of them, one look after the other. */
  #findDead(me: Waiter, look: number): boolean {
    const words = this.#words;
    const threads = this.#threads;
    const count = threads < NODES_A_LOOK ? threads : NODES_A_LOOK;
    for (let step = 0; step < count; step++) {
      const slot = (me.slot + look * NODES_A_LOOK + step) % threads;
      const at = (1 + slot) * LINE_WORDS + STATE;
      const state = Atomics.load(words, at);
      const flags = state & ~ID_MASK;
      if (state === 0 || ((flags & LEFT) !== 0 && flags !== LEAVING)) continue;
      // A wait that does not block is gone once it has left: then it no longer stands here.
      if (!me.alive(state & ID_MASK) && Atomics.load(words, at) === state) return true;
    }
    return false;
  }
}
