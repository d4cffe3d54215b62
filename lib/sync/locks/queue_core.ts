/**
 * What queue locks share: the queue in which every waiter spins on a line of its own.
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
 * set the tail back, or to grant: one `or` on the state of another node. Whose, is what the locks differ in: `mcs_core.ts`
 * grants to the next in line, `cna_core.ts` to the next of its domain.
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
 * {@linkcode LOOK_MS}, and set `broken`, for all and for good: what began before may still be granted, nothing else.
 * A thread that dies within acquire or release may break the lock, too, even where the lock would be free. One that died
 * after giving up does no harm.
 *
 * What an uncontended acquisition takes stands in each lock's own class, or is a function over the words: engines then
 * compile it for that lock alone, whichever others a thread uses.
 *
 * Mellor-Crummey and Scott, "Algorithms for scalable synchronization on shared-memory multiprocessors", TOCS 1991. Places
 * that stay in the queue when given up: after Scott and Scherer, "Scalable queue-based spin locks with timeout", PPoPP
 * 2001, and Chabbi et al., HMCS-T, 2017.
 *
 * @module
 */
import type { LockCore } from "./lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** A sleeper looks for dead threads this often, in milliseconds. */
export const LOOK_MS = 20;

const TAIL = 0;
const BROKEN = 1;

const STATE = 0;
const NEXT = 1;
const SLEEPER = 2;
/** Where a node has room for what one lock alone keeps there. */
const OWN = 3;

const HELD = 1 << 29;
const PARKED = 1 << 30;
const LEFT = 1 << 31;
const GRANTED = HELD | PARKED;
const LEAVING = LEFT | PARKED;
const PASSED = LEFT | GRANTED;

const ABANDONED = -1;

const NODE_WORDS: number = LINE_WORDS;

/**
 * The layout, for the locks, which take it apart into constants of their own: V8 compiles those into the code, and loads
 * what a module imports each time. An acquisition and its release cost 15 % more with imported ones.
 */
export const QUEUE: Readonly<
  Record<
    | "TAIL"
    | "BROKEN"
    | "STATE"
    | "NEXT"
    | "OWN"
    | "HELD"
    | "LEFT"
    | "LEAVING"
    | "PASSED"
    | "ABANDONED",
    number
  >
> = { TAIL, BROKEN, STATE, NEXT, OWN, HELD, LEFT, LEAVING, PASSED, ABANDONED };

/** How many nodes are looked at each time for dead threads. */
const NODES_A_LOOK = 64;

/** How {@linkcode QueueCore.obtain} ended: without the lock. */
export const GAVE_UP = 0;
/** With the lock, and there is time left. */
export const GOT = 1;
/** With the lock, when it was about to give up. */
export const GOT_LATE = 2;

/** Where a thread's node is. */
export function nodeOf(me: Waiter): number {
  return (1 + me.slot) * NODE_WORDS;
}

/** Links behind the node before. True: its thread has just left, and the lock is the caller's. */
export function link(words: Int32Array, me: Waiter, before: number): boolean {
  if (Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED) return false;
  free(words, me, before * LINE_WORDS);
  return true;
}

/** Notices that the lock was granted to the node. */
function accept(words: Int32Array, me: Waiter, node: number): boolean {
  if (loadShared(words, node + STATE) !== (me.id | GRANTED)) return false;
  words[node + STATE] = me.id | HELD;
  return true;
}

/** Spins for the lock, having linked. */
export function spinFor(words: Int32Array, me: Waiter, node: number): boolean {
  let round = 0;
  do if (accept(words, me, node)) return true; while (me.spin(round++));
  return false;
}

/** Grants the lock to a node, and wakes its thread. Returns that thread's id; 0 when the node had been given up. */
export function grant(words: Int32Array, me: Waiter, node: number): number {
  const state = Atomics.or(words, node + STATE, GRANTED);
  if ((state & LEFT) !== 0) return 0;
  const heir = state & ID_MASK;
  if ((state & PARKED) !== 0) me.unpark(heir);
  return heir;
}

/** Lets a node's own thread have it again. */
export function free(words: Int32Array, me: Waiter, node: number): void {
  Atomics.store(words, node + NEXT, 0);
  Atomics.store(words, node + STATE, 0);
  // Looked at after the state is 0: who sleeps later has looked later. Cleared by who sleeps.
  const sleeper = Atomics.load(words, node + SLEEPER);
  if (sleeper !== 0) me.unpark(sleeper);
}

/** Frees the caller's own node. The last of a release: as long as it is in use, others find out if this thread dies. */
export function leave(words: Int32Array, own: number): void {
  Atomics.store(words, own + NEXT, 0);
  words[own + STATE] = 0;
}

/**
 * Whether a thread died that is in the queue. Looks at some nodes: all of them, one look after the other. Also for other
 * locks with the same states in the same lines.
 */
export function findDead(words: Int32Array, threads: number, me: Waiter, look: number): boolean {
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

/** The algorithm of a lock that is such a queue, but for taking a place and for handing on. */
export abstract class QueueCore implements LockCore {
  protected readonly words: Int32Array;
  readonly #threads: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   */
  constructor(words: Int32Array, shape: Shape) {
    this.words = words;
    this.#threads = shape.threads;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return (1 + threads) * LINE_WORDS;
  }

  abstract tryAcquire(me: Waiter): boolean;

  abstract begin(me: Waiter): boolean;

  abstract release(me: Waiter): boolean;

  /** Takes a place at the end. True: there was nobody, or somebody who had just left. */
  protected abstract join(me: Waiter, node: number): boolean;

  /** Waits on at the place that was given up, unless it was passed over meanwhile. */
  protected rejoin(me: Waiter, node: number, state: number): void {
    Atomics.compareExchange(this.words, node + STATE, state, me.id);
  }

  *wait(me: Waiter): Wait<boolean> {
    return (yield* this.obtain(me)) !== GAVE_UP;
  }

  /**
   * As {@linkcode QueueCore.wait}, for who has more to wait for.
   *
   * @param me The calling thread.
   * @returns {@linkcode GAVE_UP}, {@linkcode GOT} or {@linkcode GOT_LATE}.
   */
  *obtain(me: Waiter): Wait<number> {
    const { words } = this;
    const node = nodeOf(me);
    let over = false;
    let slept = false;
    let looks = 0;
    for (;;) {
      if (accept(words, me, node)) return over ? GOT_LATE : GOT;
      if (slept) {
        // Also when it is over: short waits, too, find out in the end.
        slept = false;
        if (findDead(words, this.#threads, me, looks++)) Atomics.store(words, BROKEN, 1);
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
        if (this.join(me, node)) return GOT;
        continue;
      }
      if (flags === LEFT) {
        this.rejoin(me, node, state);
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
      over = yield LOOK_MS;
      slept = true;
    }
  }

  holds(me: Waiter): boolean {
    // Nobody else makes this so or not so.
    return this.words[nodeOf(me) + STATE] === (me.id | HELD);
  }

  abandon(me: Waiter, dead: number): boolean {
    if (!this.holds(me)) return false;
    // Whoever waits finds a dead holder there.
    Atomics.store(this.words, nodeOf(me) + STATE, dead | HELD);
    return true;
  }

  /**
   * Whether a thread was found dead in the queue.
   *
   * @returns True for good.
   */
  broken(): boolean {
    return Atomics.load(this.words, BROKEN) !== 0;
  }

  /** Gives back what is broken, to tell the next. */
  protected refuse(me: Waiter): false {
    this.release(me);
    return false;
  }
}
