/**
 * CNA: the MCS queue, and a second one for waiters of other domains.
 *
 * ```
 *   line 1 + s  | … | domain |                         the node of slot s
 *               | head | last | passes |               of who holds the lock
 *
 *   holder ─next─> main queue ─next─> … tail
 *   holder ─head─> second queue ─next─> … last
 * ```
 *
 * The main queue is that of `queue_core.ts`, which tells the rest: layout, how nodes are given up, left behind and freed.
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
 * Plain accesses: as in `queue_core.ts`; and to `head`, `last` and `passes`, which the lock itself puts in order.
 *
 * Death: as in `queue_core.ts`. Waiters look for dead threads when they wake, and set `broken`. It is not robust.
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
import type { Shape } from "../../shared/shape.ts";
import { free, grant, leave, link, nodeOf, QUEUE, QueueCore, spinFor } from "./queue_core.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

/** Hand-offs past a second queue that waits, before it is let in. */
export const PASSES = 256;

const { TAIL, BROKEN, STATE, NEXT, OWN, HELD, LEFT, LEAVING, PASSED, ABANDONED } = QUEUE;

const DOMAIN = OWN;
const HEAD = OWN + 1;
const LAST = OWN + 2;
const COUNT = OWN + 3;

/** The algorithm of `CnaLock`. */
export class CnaCore extends QueueCore {
  readonly #passes: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param passes In place of {@linkcode PASSES}; the same in all threads.
   */
  constructor(words: Int32Array, shape: Shape, passes: number = PASSES) {
    super(words, shape);
    this.#passes = passes;
  }

  override tryAcquire(me: Waiter): boolean {
    const { words } = this;
    const node = nodeOf(me);
    if (words[node + STATE] !== 0) return false;
    words[node + STATE] = me.id | HELD;
    if (Atomics.compareExchange(words, TAIL, 0, me.slot + 1) === 0) {
      words[node + HEAD] = 0;
      return words[BROKEN] === 0 || this.refuse(me);
    }
    words[node + STATE] = 0;
    return false;
  }

  override begin(me: Waiter): boolean {
    const { words } = this;
    const node = nodeOf(me);
    // Its old place is still in the queue: wait() sees to that.
    if (words[node + STATE] !== 0) return false;
    if (this.join(me, node)) return words[BROKEN] === 0 || this.refuse(me);
    return spinFor(words, me, node);
  }

  protected override join(me: Waiter, node: number): boolean {
    const { words } = this;
    words[node + STATE] = me.id;
    const before = Atomics.exchange(words, TAIL, me.slot + 1);
    if (before !== 0) {
      Atomics.store(words, node + DOMAIN, me.domain);
      if (!link(words, me, before)) return false;
    }
    words[node + HEAD] = 0;
    words[node + STATE] = me.id | HELD;
    return true;
  }

  protected override rejoin(me: Waiter, node: number, state: number): void {
    // Another thread may have had this slot when it was given up.
    Atomics.store(this.words, node + DOMAIN, me.domain);
    super.rejoin(me, node, state);
  }

  override release(me: Waiter): boolean {
    const { words } = this;
    const node = nodeOf(me);
    if (words[node + STATE] !== (me.id | HELD)) return false;
    if (
      words[node + NEXT] === 0 && words[node + HEAD] === 0 &&
      Atomics.compareExchange(words, TAIL, me.slot + 1, 0) === me.slot + 1
    ) words[node + STATE] = 0;
    else this.#handOn(me);
    return true;
  }

  /** Grants the lock to the first that has not given up, of this domain if it may. */
  #handOn(me: Waiter): void {
    const { words } = this;
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
          if (place !== own) free(words, me, place * LINE_WORDS);
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
        if (place !== own) free(words, me, place * LINE_WORDS);
      }
      const node = heir * LINE_WORDS;
      words[node + HEAD] = head;
      words[node + LAST] = last;
      words[node + COUNT] = passes + 1;
      if (grant(words, me, node) !== 0) break;
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
    leave(words, first);
  }
}
