/**
 * A channel: rings of messages from several senders to one receiver, one ring a sender, and one bell.
 *
 * ```
 *   line 0   | closed | top |            lanes below top have been used; hardly ever written
 *   line 1   | receiver | cursor |       who receives, 0 for nobody; the lane to look at first, for the receiver alone
 *   then     | owner of lane 0 | owner of lane 1 | … |     who sends there, 0 for nobody
 *   then     event count "not empty": the bell, which all lanes ring
 *   then     lane 0 | event count "not full" of lane 0 | lane 1 | …
 * ```
 *
 * A lane is a {@linkcode MessageCore} whose producer is its owner and whose consumer is the receiver. So senders share no
 * line that they write, and none of them waits for another one. First in, first out for the messages of a sender; there is
 * no order between those of two senders.
 *
 * **Lanes.** A thread that sends for the first time claims a lane that nobody owns, or whose owner has died: by one
 * compare-exchange of its owner. All that a producer knows is in the lane's words, so the next one goes on behind what the
 * last one has put in. Lanes with nothing in them come first, then those in which the receiver has yet to take out what a
 * dead thread has sent. `top` is raised before the first message, so a receiver that looks below it, with order, misses
 * none.
 *
 * **The receiver** is claimed in the same way. It looks into the lanes in turn, beginning behind the one that it took the
 * last message from: first without order, which costs a plain load for each lane; then behind one fence.
 *
 * **The bell.** A sender stores the tail of its lane and then looks whether the receiver may sleep, a word that changes
 * when somebody goes to sleep or is woken. A receiver prepares the bell before it looks into all lanes a last time.
 * {@linkcode EventCountCore} has the proof that one of the two sees the other.
 *
 * **Closed** is for all lanes. Whoever finds it closed, and after that no message in any lane, will find none that was
 * sent before.
 *
 * Death. A sender's message is there or not, as in the lane; its lane goes to the next thread that needs it. A receiver
 * that dies has taken what it has stored the head of; what else it was reading is there for the next one. A thread that dies
 * right after its compare-exchange owns a lane with nothing in it, or is a dead receiver: both can be claimed. All threads
 * that sleep look for themselves when one dies.
 *
 * Costs. Send: one atomic operation a batch and three plain loads (whether it is closed, the bell, and the lane's other
 * index where that is not known). Receive: one atomic operation a batch from a lane, and a plain load for each lane on the
 * way there; if all are empty, a fence and another load for each lane.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { fence, glance, loadFollowing, loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";
import { MessageCore } from "../rings/message_core.ts";

const CLOSED = 0;
const TOP = 1;
const RECEIVER = LINE_WORDS;
const CURSOR = LINE_WORDS + 1;
const OWNERS = 2 * LINE_WORDS;

/** How often a thread tries to own a word that others own and leave meanwhile. */
const TRIES = 16;

/** There is no lane. */
export const NO_LANE = -1;

/** Behind the owners, at the start of a line. */
function bellAt(senders: number): number {
  return OWNERS + Math.ceil(senders / LINE_WORDS) * LINE_WORDS;
}

/** The algorithm of `Channel`. */
export class ChannelCore {
  readonly #words: Int32Array;
  readonly #lanes: readonly MessageCore[];
  /** What the receiver sleeps on. */
  readonly bell: EventCountCore;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param senders The number of lanes.
   * @param capacity How many words of messages a lane has room for: a power of two, at least 4.
   */
  constructor(words: Int32Array, shape: Shape, senders: number, capacity: number) {
    const events = EventCountCore.words(shape);
    const laneWords = MessageCore.laneWords(capacity);
    const bell = bellAt(senders);
    this.#words = words;
    this.bell = new EventCountCore(words.subarray(bell, bell + events), shape, true);
    this.#lanes = Array.from({ length: senders }, (_, lane) => {
      const at = bell + events + lane * (laneWords + events);
      const full = words.subarray(at + laneWords, at + laneWords + events);
      return new MessageCore(words.subarray(at, at + laneWords), shape, capacity, {
        notEmpty: this.bell,
        notFull: new EventCountCore(full, shape, true),
      });
    });
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @param senders The number of lanes.
   * @param capacity How many words of messages a lane has room for: a power of two, at least 4.
   * @returns 32-bit words.
   */
  static words(shape: Shape, senders: number, capacity: number): number {
    const events = EventCountCore.words(shape);
    return bellAt(senders) + events + senders * (MessageCore.laneWords(capacity) + events);
  }

  /**
   * The ring of a lane.
   *
   * @param lane Which one.
   * @returns The same object each time.
   */
  lane(lane: number): MessageCore {
    return this.#lanes[lane] as MessageCore;
  }

  /**
   * Finds a lane for a thread to send in, which is its own from then on.
   *
   * @param me The calling thread.
   * @returns The lane; {@linkcode NO_LANE} if threads that live own all.
   */
  claim(me: Waiter): number {
    const words = this.#words;
    const count = this.#lanes.length;
    for (let lane = 0; lane < count; lane++) {
      if (Atomics.load(words, OWNERS + lane) === me.id) return lane;
    }
    for (let lane = 0; lane < count; lane++) {
      if (this.lane(lane).used() === 0 && this.#claim(me, lane)) return lane;
    }
    for (let lane = 0; lane < count; lane++) {
      if (this.#claim(me, lane)) return lane;
    }
    return NO_LANE;
  }

  /**
   * Gives a lane to the next one who needs it. What is in it stays there.
   *
   * @param me The calling thread.
   * @param lane Its lane.
   */
  leave(me: Waiter, lane: number): void {
    Atomics.compareExchange(this.#words, OWNERS + lane, me.id, 0);
  }

  /**
   * Becomes the receiver if there is none that lives.
   *
   * @param me The calling thread.
   * @returns Whether it is the receiver, now or already.
   */
  receives(me: Waiter): boolean {
    return this.#own(me, RECEIVER);
  }

  /**
   * Ends being the receiver.
   *
   * @param me The calling thread.
   */
  resign(me: Waiter): void {
    Atomics.compareExchange(this.#words, RECEIVER, me.id, 0);
  }

  /**
   * Finds a lane with a message in it. For the receiver.
   *
   * @returns The lane; {@linkcode NO_LANE} if there was none at some moment.
   */
  poll(): number {
    const words = this.#words;
    const seen = this.#used(glance(words, TOP));
    let lane = words[CURSOR] as number;
    for (let step = 0; step < seen; step++) {
      // Unsigned: it is in memory that any thread can write to.
      if (lane >>> 0 >= seen) lane = 0;
      if (this.lane(lane).glances()) return lane;
      lane++;
    }
    fence();
    const top = this.#used(loadFollowing(words, TOP));
    for (lane = 0; lane < top; lane++) {
      if (this.lane(lane).follows()) return lane;
    }
    return NO_LANE;
  }

  /**
   * Lets another lane come first. For the receiver.
   *
   * @param lane The lane that it has taken a message from.
   */
  turn(lane: number): void {
    this.#words[CURSOR] = lane + 1;
  }

  /**
   * Whether it was closed, as far as a look without order tells.
   *
   * @returns Whether somebody has closed it.
   */
  glancesClosed(): boolean {
    return glance(this.#words, CLOSED) !== 0;
  }

  /**
   * Whether no more messages will be sent.
   *
   * @returns Whether somebody has closed it. Then what is there can still be received.
   */
  closed(): boolean {
    return loadShared(this.#words, CLOSED) !== 0;
  }

  /**
   * Says that no more messages will be sent, or received.
   *
   * @param me The calling thread.
   */
  close(me: Waiter): void {
    Atomics.store(this.#words, CLOSED, 1);
    this.bell.notifyAll(me);
    for (const { notFull } of this.#lanes) notFull.notifyAll(me);
  }

  /**
   * How many lanes have an owner that lives.
   *
   * @param me The calling thread.
   * @returns The number at some moment.
   */
  owned(me: Waiter): number {
    let count = 0;
    for (let lane = 0; lane < this.#lanes.length; lane++) {
      const owner = Atomics.load(this.#words, OWNERS + lane);
      if (owner !== 0 && me.alive(owner)) count++;
    }
    return count;
  }

  /** Claims a lane if nobody that lives owns it. */
  #claim(me: Waiter, lane: number): boolean {
    if (!this.#own(me, OWNERS + lane)) return false;
    raise(this.#words, TOP, lane + 1);
    return true;
  }

  /** Puts a thread's id in a word if no thread that lives is there. */
  #own(me: Waiter, at: number): boolean {
    const words = this.#words;
    for (let tries = 0; tries < TRIES; tries++) {
      const owner = Atomics.load(words, at);
      if (owner === me.id) return true;
      if (owner !== 0 && me.alive(owner)) return false;
      if (Atomics.compareExchange(words, at, owner, me.id) === owner) return true;
      // Another thread was faster, and may have left again.
    }
    return false;
  }

  /** Lanes up to what a word says. */
  #used(top: number): number {
    // In integers: engines take what Math.min returns for anything.
    const count = this.#lanes.length;
    return top < 0 ? 0 : top < count ? top : count;
  }
}
