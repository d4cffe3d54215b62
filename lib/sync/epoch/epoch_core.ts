/**
 * Epochs: tells when nobody can still look at what was taken out of a structure, so that its memory can be used
 * again.
 *
 * ```
 *   line 0      | epoch | top |            even, grows by 2, wraps | slots below top are in use
 *   line 1 + s  | seen | id | depth |      what slot s has last seen of the epoch, + 1; 0: it looks at nothing
 * ```
 *
 * A thread that looks at shared structures is *online*: it has written down the epoch. It says so again at moments at
 * which it remembers nothing of what it looked at (quiescent states: the turns of its event loop, say), or goes
 * online for a batch of look-ups only ({@linkcode EpochCore.enter}, {@linkcode EpochCore.exit}), and is offline while
 * it sleeps.
 *
 * The epoch moves on when all that are online and alive have seen it. A thread that takes something out of a structure
 *
 *   1. unlinks it, so that nobody finds it any more,
 *   2. notes the epoch ({@linkcode EpochCore.epoch}) with it in a list of its own,
 *   3. uses it again once {@linkcode EpochCore.safe} says so of that epoch: when it has moved on twice since.
 *
 * Why twice. Let x be unlinked before somebody reads epoch e. Whoever can hold x came online, or was last quiescent,
 * before that, and so has seen e at most. The step from e to e + 2 may be under way already, by an advance that
 * looked at this thread's line before it came online; but the one that begins after it finds the line, and waits.
 *
 * What an online thread has seen may be old when it writes it down: then the epoch waits for it without need, nothing
 * else. That is why `enter` may read the epoch with a plain load; the store that follows keeps engines from reading
 * it once for all rounds of a loop.
 *
 * How often a thread has entered stands in its line too, so that every object of the same words in the thread knows it.
 * Nobody else reads that word, and it needs no atomic operation.
 *
 * Comparisons are by difference. The epoch cannot run away from an online thread by more than two steps, so only an
 * epoch that was noted and not looked at for 2^30 steps could be mistaken.
 *
 * Death. A line says whose it is; that of a dead thread is no obstacle, and the next thread of its slot clears it.
 *
 * Epoch-based reclamation (Fraser, 2004) and quiescent states (McKenney and Slingwine, 1998), compared by Hart et al.
 * (2007); online and offline as in userspace RCU and DPDK's rte_rcu_qsbr. Cost: `quiescent` one load, and one store
 * when the epoch has moved; enter and exit one store each, in a line of the thread's own; `advance` two for each slot
 * in use at most, once per batch of retired things; `safe` one load. A living thread that stays online and never says
 * anything holds up everybody's reclamation, and so memory: bounded garbage would take hazard pointers.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { raise } from "../../wait/slot_words.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const EPOCH = 0;
const TOP = 1;
const SEEN = 0;
const ID = 1;
const DEPTH = 2;

/** The epoch grows by this: its lowest bit tells "online" from "offline". */
const STEP = 2;
const ONLINE = 1;

/** The algorithm of `Epoch`. */
export class EpochCore {
  readonly #words: Int32Array;
  readonly #threads: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   */
  constructor(words: Int32Array, shape: Shape) {
    this.#words = words;
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

  /**
   * Goes online until the matching {@linkcode exit}: around a batch of look-ups, or for long in a thread that says
   * {@linkcode quiescent} often and exits before it sleeps. May nest, and does nothing more in a thread that is
   * online.
   *
   * @param me The calling thread.
   */
  enter(me: Waiter): void {
    const words = this.#words;
    const line = (1 + me.slot) * LINE_WORDS;
    if (words[line + ID] !== me.id) this.#join(me);
    const depth = words[line + DEPTH] as number;
    words[line + DEPTH] = depth + 1;
    if (depth > 0) return;
    // Plain: an old epoch does no harm.
    Atomics.store(words, line + SEEN, (words[EPOCH] as number) | ONLINE);
  }

  /**
   * Ends what {@linkcode enter} began.
   *
   * @param me The calling thread.
   * @returns False when it is offline already.
   */
  exit(me: Waiter): boolean {
    if (!this.entered(me)) return false;
    const words = this.#words;
    const line = (1 + me.slot) * LINE_WORDS;
    const depth = (words[line + DEPTH] as number) - 1;
    words[line + DEPTH] = depth;
    if (depth === 0) Atomics.store(words, line + SEEN, 0);
    return true;
  }

  /**
   * Whether a thread is online.
   *
   * @param me The calling thread.
   * @returns True between {@linkcode enter} and {@linkcode exit}.
   */
  entered(me: Waiter): boolean {
    const words = this.#words;
    const line = (1 + me.slot) * LINE_WORDS;
    return words[line + ID] === me.id && words[line + DEPTH] !== 0;
  }

  /**
   * Says that a thread remembers nothing of what it looked at. Does nothing inside of a second guard, or offline.
   *
   * @param me The calling thread.
   */
  quiescent(me: Waiter): void {
    const words = this.#words;
    const line = (1 + me.slot) * LINE_WORDS;
    if (words[line + ID] !== me.id || words[line + DEPTH] !== 1) return;
    const now = Atomics.load(words, EPOCH) | ONLINE;
    // Only this thread writes its line, so that a plain load finds what it wrote.
    if (words[line + SEEN] !== now) Atomics.store(words, line + SEEN, now);
  }

  /**
   * The epoch, to be noted with what has just been unlinked.
   *
   * @returns The epoch: even, and wraps.
   */
  epoch(): number {
    return Atomics.load(this.#words, EPOCH);
  }

  /**
   * Whether nobody can look any more at what was unlinked by then.
   *
   * @param epoch What {@linkcode epoch} said after it was unlinked.
   * @returns Whether it can be used again. Once true, true for the next 2^30 steps.
   */
  safe(epoch: number): boolean {
    return ((Atomics.load(this.#words, EPOCH) - epoch) | 0) >= 2 * STEP;
  }

  /**
   * Moves the epoch on if everybody has seen it.
   *
   * @param me The calling thread.
   * @returns 0 when it has moved, else the id of a thread that has to say something first; perhaps `me`.
   */
  advance(me: Waiter): number {
    const words = this.#words;
    const epoch = Atomics.load(words, EPOCH);
    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    for (let slot = 0; slot < top; slot++) {
      const line = (1 + slot) * LINE_WORDS;
      const seen = Atomics.load(words, line + SEEN);
      if (seen === 0 || seen === (epoch | ONLINE)) continue;
      const id = Atomics.load(words, line + ID);
      if (me.alive(id)) return id;
    }
    // Somebody else's step will do.
    Atomics.compareExchange(words, EPOCH, epoch, (epoch + STEP) | 0);
    return 0;
  }

  /** Makes a slot's line a thread's own. */
  #join(me: Waiter): void {
    const { slot, id } = me;
    const words = this.#words;
    const line = (1 + slot) * LINE_WORDS;
    // What a dead thread saw goes first: it must not be taken for ours.
    Atomics.store(words, line + SEEN, 0);
    words[line + DEPTH] = 0;
    Atomics.store(words, line + ID, id);
    raise(words, TOP, slot + 1);
  }
}
