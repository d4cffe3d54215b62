/**
 * CNA: the MCS queue, and a second one for waiters of other domains.
 *
 * ```
 *   line 0      | tail | broken |
 *   line 1 + s  | state | next | sleeper | domain |                 the node of slot s
 *               | head | last | passes |                            of who holds the lock
 *
 *   holder ─next─> main queue ─next─> … tail
 *   holder ─head─> second queue ─next─> … last
 * ```
 *
 * State, sleeper, broken, how nodes are given up, left behind and freed: as in `mcs_core.ts`, which tells of it.
 *
 * Release looks along the main queue for the first waiter of its own domain. Those before it go to the end of the second
 * queue, which is handed on with the lock. Where there is none, and after {@linkcode PASSES} hand-offs past a second queue
 * that waits, the second queue is put in front of the main one, and its first gets the lock.
 *
 * Invariants
 * - Second queue, then main queue, is the order of arrival: moving keeps it, and only the tail gets newcomers.
 * - So a waiter that had k others before it is overtaken at most (k + 1) × PASSES times: of the release that grants,
 *   at most PASSES in a row take somebody else than the first in that order.
 * - `next` of the last node of the second queue is 0, as if it were the tail, which it may become.
 * - `head`, `last` and `passes` are written by the holder alone, into the node that it is about to grant, or its own.
 * - Where the main queue is at its end but for somebody who has not linked yet, and others wait in the second queue, the
 *   last node of the main queue is put behind the second one, as one that was given up: its `next` will be what comes.
 *   A thread whose node that is, and which comes back, waits on there, or until the node is reached and freed.
 *
 * Plain accesses: as in `mcs_core.ts`; and to `head`, `last` and `passes`, which the lock itself puts in order.
 *
 * Death: as in `mcs_core.ts`. Waiters look for dead threads when they wake, and set `broken`. It is not robust.
 *
 * | fair | NUMA-aware | robust | abortable | atomics uncontended |
 * | ---- | ---------- | ------ | --------- | ------------------- |
 * | bounded bypass | yes | no: tells | yes | 2 |
 *
 * Wins where MCS does, on machines of several L3 domains: nearly all hand-offs stay within one, and one word for each
 * thread is all that it takes. Costs a walk along the waiters of other domains now and then. Collapses like MCS when
 * threads outnumber CPUs (`docs/design/sync.md`).
 *
 * Dice and Kogan, "Compact NUMA-aware locks", EuroSys 2019. There the second queue is let in by chance; here by count.
 *
 * @module
 */
import type { LockCore } from "./lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** A sleeper looks for dead threads this often, in milliseconds. */
export const SLICE_MS = 20;

/** Hand-offs past a second queue that waits, before it is let in. */
export const PASSES = 256;

const TAIL = 0;
const BROKEN = 1;

const STATE = 0;
const NEXT = 1;
const SLEEPER = 2;
const DOMAIN = 3;
const HEAD = 4;
const LAST = 5;
const COUNT = 6;

const HELD = 1 << 29;
const PARKED = 1 << 30;
const LEFT = 1 << 31;
const GRANTED = HELD | PARKED;
const LEAVING = LEFT | PARKED;
const PASSED = LEFT | GRANTED;

const ABANDONED = -1;
/** How many nodes are looked at each time for dead threads. */
const NODES_A_LOOK = 64;

/** The algorithm of `CnaLock`. */
export class CnaCore implements LockCore {
  readonly #words: Int32Array;
  readonly #threads: number;
  readonly #passes: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape For whom.
   * @param passes In place of {@linkcode PASSES}; the same in all threads.
   */
  constructor(words: Int32Array, shape: Shape, passes: number = PASSES) {
    this.#words = words;
    this.#threads = shape.threads;
    this.#passes = passes;
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
    if (Atomics.compareExchange(words, TAIL, 0, me.slot + 1) === 0) {
      words[node + HEAD] = 0;
      return this.#unlessBroken(me);
    }
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
    const words = this.#words;
    const node = (1 + me.slot) * LINE_WORDS;
    let over = false;
    let slept = false;
    let looks = 0;
    for (;;) {
      if (this.#accept(me, node)) return true;
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
          return false;
        } else if (
          Atomics.compareExchange(words, node + STATE, state, me.id | LEFT) === state
        ) return false;
        continue;
      }
      if (state === 0) {
        Atomics.store(words, node + SLEEPER, 0);
        if (this.#join(me, node)) return true;
        continue;
      }
      if (flags === LEFT) {
        // Another thread may have had this slot when it was given up.
        Atomics.store(words, node + DOMAIN, me.domain);
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
      words[node + NEXT] === 0 && words[node + HEAD] === 0 &&
      Atomics.compareExchange(words, TAIL, me.slot + 1, 0) === me.slot + 1
    ) words[node + STATE] = 0;
    else this.#handOn(me);
    return true;
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
      Atomics.store(words, node + DOMAIN, me.domain);
      if (Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED) {
        return false;
      }
      this.#free(me, before * LINE_WORDS);
    }
    words[node + HEAD] = 0;
    words[node + STATE] = me.id | HELD;
    return true;
  }

  #accept(me: Waiter, node: number): boolean {
    const words = this.#words;
    if (Atomics.load(words, node + STATE) !== (me.id | GRANTED)) return false;
    words[node + STATE] = me.id | HELD;
    return true;
  }

  /** Grants the lock to the first that has not given up, of this domain if it may. */
  #handOn(me: Waiter): void {
    const words = this.#words;
    const own = me.slot + 1;
    const first = own * LINE_WORDS;
    /** The second queue, and how often it was passed. */
    let head = words[first + HEAD] as number;
    let last = words[first + LAST] as number;
    let passes = head === 0 ? 0 : words[first + COUNT] as number;
    /** The node whose `next` is the main queue. */
    let place = own;
    /** What becomes of this thread's own node, when it stays in the queue. */
    let stays = 0;
    for (;;) {
      const next = Atomics.load(words, place * LINE_WORDS + NEXT);
      let heir = head;
      if (next === 0) {
        if (Atomics.compareExchange(words, TAIL, place, head === 0 ? 0 : last) === place) {
          if (place !== own) this.#free(me, place * LINE_WORDS);
          if (head === 0) break;
        } else {
          // Somebody is between exchange and link.
          if (place === own) Atomics.store(words, first + STATE, me.id | LEAVING);
          if (head === 0) {
            if (Atomics.compareExchange(words, place * LINE_WORDS + NEXT, 0, ABANDONED) !== 0) {
              continue;
            }
            if (place === own) stays = PASSED;
            break;
          }
          Atomics.store(words, last * LINE_WORDS + NEXT, place);
          if (place === own) stays = LEFT;
        }
        head = 0;
        passes = 0;
      } else {
        let before = 0;
        heir = 0;
        if (passes < this.#passes) {
          heir = next;
          while (heir !== 0 && Atomics.load(words, heir * LINE_WORDS + DOMAIN) !== me.domain) {
            before = heir;
            heir = Atomics.load(words, heir * LINE_WORDS + NEXT);
          }
        }
        if (heir === 0) {
          if (head !== 0) Atomics.store(words, last * LINE_WORDS + NEXT, next);
          heir = head === 0 ? next : head;
          head = 0;
          passes = 0;
        } else if (before !== 0) {
          if (head === 0) head = next;
          else Atomics.store(words, last * LINE_WORDS + NEXT, next);
          last = before;
          Atomics.store(words, last * LINE_WORDS + NEXT, 0);
        }
        if (place !== own) this.#free(me, place * LINE_WORDS);
      }
      const node = heir * LINE_WORDS;
      words[node + HEAD] = head;
      words[node + LAST] = last;
      words[node + COUNT] = passes + 1;
      const state = Atomics.or(words, node + STATE, GRANTED);
      if ((state & LEFT) === 0) {
        if ((state & PARKED) !== 0) me.unpark(state & ID_MASK);
        break;
      }
      place = heir;
      if (place !== own) continue;
      // It came to its own node again.
      Atomics.store(words, first + STATE, me.id | LEAVING);
      stays = 0;
    }
    if (stays !== 0) {
      Atomics.compareExchange(words, first + STATE, me.id | LEAVING, me.id | stays);
      return;
    }
    // Last: as long as it is in use, others find out if this thread dies.
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
