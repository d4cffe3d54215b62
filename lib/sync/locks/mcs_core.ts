/**
 * MCS: a queue in which every waiter spins on a line of its own, and which is handed on in order.
 *
 * The queue is that of `queue_core.ts`, which tells its story: layout, invariants, plain accesses, death. Release grants
 * to the next node that was not given up, and frees those before it.
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
 * Mellor-Crummey and Scott, "Algorithms for scalable synchronization on shared-memory multiprocessors", TOCS 1991.
 *
 * @module
 */
import { free, grant, leave, link, nodeOf, QUEUE, QueueCore, spinFor } from "./queue_core.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const { TAIL, BROKEN, STATE, NEXT, HELD, LEAVING, PASSED, ABANDONED } = QUEUE;

/** The algorithm of `McsLock`. */
export class McsCore extends QueueCore {
  override tryAcquire(me: Waiter): boolean {
    const { words } = this;
    const node = nodeOf(me);
    if (words[node + STATE] !== 0) return false;
    words[node + STATE] = me.id | HELD;
    if (Atomics.compareExchange(words, TAIL, 0, me.slot + 1) === 0) {
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
    if (before !== 0 && !link(words, me, before)) return false;
    words[node + STATE] = me.id | HELD;
    return true;
  }

  override release(me: Waiter): boolean {
    const { words } = this;
    const node = nodeOf(me);
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
    const { words } = this;
    const first = nodeOf(me);
    if (words[first + NEXT] === 0) return 0;
    let node = first;
    for (;;) {
      const next = Atomics.load(words, node + NEXT);
      if (next === 0) return 0;
      node = next * LINE_WORDS;
      const heir = grant(words, me, node);
      if (heir === 0) continue;
      this.#freeBetween(me, first, node);
      return heir;
    }
  }

  /** Grants the lock to the first that has not given up. */
  #handOn(me: Waiter): void {
    const { words } = this;
    const first = nodeOf(me);
    let node = first;
    for (;;) {
      const place = node / LINE_WORDS;
      let next = Atomics.load(words, node + NEXT);
      if (next === 0) {
        if (Atomics.compareExchange(words, TAIL, place, 0) === place) {
          if (node !== first) free(words, me, node);
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
      if (node !== first) free(words, me, node);
      node = next * LINE_WORDS;
      if (grant(words, me, node) !== 0) break;
    }
    leave(words, first);
  }

  /** Frees the nodes from one that this thread holds to the one that it granted. */
  #freeBetween(me: Waiter, first: number, heir: number): void {
    const { words } = this;
    let node = Atomics.load(words, first + NEXT) * LINE_WORDS;
    while (node !== heir) {
      const next = Atomics.load(words, node + NEXT);
      free(words, me, node);
      node = next * LINE_WORDS;
    }
    leave(words, first);
  }
}
