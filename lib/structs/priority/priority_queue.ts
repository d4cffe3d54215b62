import { lengthOf } from "../../base/brand.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { holdsTenant, settleIn } from "../../shared/tenancy.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { persist } from "../naps.ts";
import { readOrdered, writeOrdered } from "../ordered_doubles.ts";
import { BUSY } from "../outcomes.ts";
import { optionOf, settingsOf } from "../rings/ring_settings.ts";
import { DONE, KEY_WORDS, NONE, PriorityCore, type PriorityShape } from "./priority_core.ts";

/** Options of a `PriorityQueue`. */
export interface PriorityQueueOptions extends SyncOptions {
  /** The number of entries that it has room for: a power of two from 2 to 2^24. Default: 1,024. */
  readonly capacity?: number;
  /** The number of 32-bit words of a record: 1 to 16. Default: 1. */
  readonly recordWords?: number;
  /**
   * The number of heaps: a power of two from 1 to 64, and no more than half of `capacity`. With 1 the order is strict, and
   * all threads want the same lock. With more it is relaxed, and two for each thread are a good number. Default: 1.
   */
  readonly heaps?: number;
}

const PUSH = "push to a priority queue";
const POP = "pop from a priority queue";
const PEEK = "look at a priority queue";

const MAX_RECORD_WORDS = 16;
const MAX_HEAP_BITS = 6;
/** Of the number that its memory keeps: bits of the capacity and the words of a record. */
const RECORD_BITS = 10;

/** What a number says that {@linkcode priorityOptionOf} made, or that any thread wrote over it: within the limits. */
function shapeOf(option: number): PriorityShape {
  const { capacity, recordWords } = settingsOf(option & ((1 << RECORD_BITS) - 1), MAX_RECORD_WORDS);
  const most = Math.max(0, Math.min(MAX_HEAP_BITS, Math.log2(capacity) - 1));
  const heaps = 2 ** Math.min(option >>> RECORD_BITS, most);
  return { heaps, capacity: Math.max(capacity, heaps), entryWords: KEY_WORDS + recordWords };
}

/** The number that {@linkcode shapeOf} takes. */
function priorityOptionOf(
  { heaps = 1, capacity = 1024, recordWords = 1 }: PriorityQueueOptions,
  action: string,
): number {
  const records = optionOf({ capacity, recordWords }, action, MAX_RECORD_WORDS);
  checkInteger(heaps, "heaps", 1, Math.min(2 ** MAX_HEAP_BITS, capacity / 2), action);
  if ((heaps & (heaps - 1)) !== 0) {
    throw new NumaError("EINVAL", action, {
      why: `heaps is ${heaps}`,
      fix: "Give a power of two.",
    });
  }
  return records | (Math.log2(heaps) << RECORD_BITS);
}

const KIND = /* @__PURE__ */ defineKind<PriorityQueue, PriorityQueueOptions>({
  name: "PriorityQueue",
  code: 68,
  title: "a priority queue",
  accepts: ["threads", "capacity", "recordWords", "heaps"],
  option: priorityOptionOf,
  words: (_, option) => PriorityCore.words(shapeOf(option)),
});

/**
 * A priority queue that threads share: of its records the one with the smallest priority comes out first.
 *
 * A record is one or more 32-bit words, for example the number of a task; its priority is a number, for example the time
 * at which the task is due. Any thread puts records in, and takes them out. Records of the same priority come out in no
 * particular order.
 *
 * With one heap, the default, the order is strict: each `pop` takes the record with the smallest priority of all. Threads
 * wait for each other then, each for some hundred nanoseconds. With several heaps it is relaxed: `push` goes to any of them,
 * and `pop` takes the better one of two, so threads hardly meet. A `pop` leaves about half as many records with
 * smaller priorities behind as there are heaps, on average, however many there are in the queue; with two heaps and one
 * thread none.
 *
 * Full and empty are return values. Combine it with an `EventCount` for threads that sleep when there is nothing to do.
 *
 * Properties: with one heap each call happens at one moment between its call and its return. A thread that ends in the
 * middle of a call blocks nobody, and leaves the record that it was putting in there or not; one that it was taking out is
 * there, or gone with it. Costs: for n records in a heap about log4(n) atomic stores, and two atomic operations for the
 * lock. No call of native code, no allocation.
 *
 * @example
 * ```ts
 * import { PriorityQueue } from "@numakit/numakit";
 *
 * const tasks = PriorityQueue.create(new SharedArrayBuffer(PriorityQueue.bytes()));
 * tasks.pushWord(2.5, 7); // in any thread
 * tasks.pushWord(-1, 8);
 * console.log(tasks.popWord(), tasks.popWord(), tasks.popWord()); // 8 7 undefined
 * ```
 *
 * @example Records of several words, and what their priority was
 * ```ts
 * import { PriorityQueue } from "@numakit/numakit";
 *
 * const options = { capacity: 4096, recordWords: 2, heaps: 8 };
 * const queue = PriorityQueue.create(new SharedArrayBuffer(PriorityQueue.bytes(options)), options);
 * queue.push(0.5, Int32Array.of(7, 100));
 * const record = new Int32Array(2);
 * console.log(queue.pop(record), record[1]); // 0.5 100
 * ```
 */
export class PriorityQueue implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    PriorityQueue,
    (region) => new PriorityQueue(region),
  );
  readonly #core: PriorityCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #shape: PriorityShape;
  /** One entry: its key, and its record. */
  readonly #entry: Int32Array;

  private constructor(region: Region) {
    this.#shape = shapeOf(region.option);
    this.#core = new PriorityCore(region.words, this.#shape);
    this.#entry = new Int32Array(this.#shape.entryWords);
    this.#attached = new Attachment(region);
    this.#me = this.#attached.me;
    settleIn(this, region, "owner", tenantOf(this.#core, region.words));
  }

  /**
   * Creates an empty queue.
   *
   * @param memory The memory for it: an arena, or a `SharedArrayBuffer` of {@linkcode PriorityQueue.bytes} bytes.
   * @param options The number and size of its records, how many heaps it has, and other options.
   * @returns The queue.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: PriorityQueueOptions = {}): PriorityQueue {
    return PriorityQueue.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a queue needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: PriorityQueueOptions = {}): number {
    return PriorityQueue.#kind.bytes(options);
  }

  /**
   * Returns the live queue of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode PriorityQueue.toHandle}, made in any thread of this process.
   * @returns The queue.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): PriorityQueue {
    return PriorityQueue.#kind.attach(handle);
  }

  /** The number of records that it has room for. */
  get capacity(): number {
    return this.#shape.capacity;
  }

  /** The number of 32-bit words of a record. */
  get recordWords(): number {
    return this.#shape.entryWords - KEY_WORDS;
  }

  /** The number of heaps. */
  get heaps(): number {
    return this.#shape.heaps;
  }

  /**
   * The number of records in it at this moment: of several heaps one after the other.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get length(): number {
    this.#attached.check("read");
    return this.#core.length();
  }

  /**
   * Puts a record in.
   *
   * @param priority Its priority: a number but NaN. The smallest comes out first.
   * @param record Its words: as many as {@linkcode PriorityQueue.recordWords}.
   * @returns False if there is no room.
   * @throws {NumaError} `EINVAL` if it is no such number or record; `EBUSY` if another thread has a heap locked for a second
   * or more; `ETERMINATED` if this thread is being terminated; `EDESTROYED` if its arena is destroyed.
   */
  push(priority: number, record: Int32Array): boolean {
    this.#check(record, PUSH);
    this.#put(priority);
    for (let word = 0; word < this.recordWords; word++) {
      this.#entry[KEY_WORDS + word] = record[word] as number;
    }
    return this.#push();
  }

  /**
   * Takes a record out: the one with the smallest priority, or with several heaps one of the smallest.
   *
   * @param target Where its words go: as many as {@linkcode PriorityQueue.recordWords}. If there is none, it stays as it
   * is.
   * @returns The record's priority; undefined if the queue is empty.
   * @throws {NumaError} As {@linkcode PriorityQueue.push}.
   */
  pop(target: Int32Array): number | undefined {
    this.#check(target, POP);
    if (!this.#pop()) return undefined;
    for (let word = 0; word < this.recordWords; word++) {
      target[word] = this.#entry[KEY_WORDS + word] as number;
    }
    return readOrdered(this.#entry, 0);
  }

  /**
   * Returns the smallest priority, and leaves its record where it is: another thread may take it out, or put a better one
   * in, at any time. For a thread that sleeps until the next record is due.
   *
   * Cost: the lock of each heap that is not empty.
   *
   * @returns The priority; undefined if the queue is empty.
   * @throws {NumaError} `EBUSY` and `ETERMINATED` as {@linkcode PriorityQueue.push}; `EDESTROYED` if its arena is destroyed.
   */
  peekPriority(): number | undefined {
    this.#attached.check("look at");
    const look = (): number => this.#core.peek(this.#me, this.#entry);
    let done = look();
    if (done === BUSY) done = persist(look, this.#me, PEEK);
    return done === NONE ? undefined : readOrdered(this.#entry, 0);
  }

  /**
   * Puts a record of one word in, if records have one.
   *
   * @param priority Its priority, as for {@linkcode PriorityQueue.push}.
   * @param word The word: a whole number from -2^31 to 2^31 - 1.
   * @returns False if there is no room.
   * @throws {NumaError} As {@linkcode PriorityQueue.push}.
   */
  pushWord(priority: number, word: number): boolean {
    if (typeof word !== "number" || (word | 0) !== word || this.#entry.length !== KEY_WORDS + 1) {
      this.#refuseWord(word, PUSH);
    }
    this.#put(priority);
    this.#entry[KEY_WORDS] = word;
    return this.#push();
  }

  /**
   * Takes a record of one word out, if records have one.
   *
   * @returns The word; undefined if the queue is empty.
   * @throws {NumaError} As {@linkcode PriorityQueue.pop}.
   */
  popWord(): number | undefined {
    if (this.#entry.length !== KEY_WORDS + 1) this.#refuseWord(0, POP);
    return this.#pop() ? this.#entry[KEY_WORDS] : undefined;
  }

  /**
   * Returns a handle with which another thread finds the queue. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** Checks a priority, and makes a key of it. */
  #put(priority: number): void {
    if (typeof priority !== "number" || priority !== priority) {
      throw new NumaError("EINVAL", PUSH, {
        why: `priority is ${show(priority)}`,
        fix: "Give a number.",
      });
    }
    writeOrdered(priority, this.#entry, 0);
  }

  #push(): boolean {
    this.#attached.check("push to");
    const core = this.#core;
    let done = core.push(this.#me, this.#entry);
    if (done === BUSY) done = persist(() => core.push(this.#me, this.#entry), this.#me, PUSH);
    return done === DONE;
  }

  #pop(): boolean {
    this.#attached.check("pop from");
    const core = this.#core;
    let done = core.pop(this.#me, this.#entry);
    if (done === BUSY) done = persist(() => core.pop(this.#me, this.#entry), this.#me, POP);
    return done !== NONE;
  }

  /** Checks that an array is as long as a record. */
  #check(record: Int32Array, action: string): void {
    const isWords = ArrayBuffer.isView(record) && record instanceof Int32Array;
    if (isWords && lengthOf(record) === this.recordWords) return;
    throw new NumaError("EINVAL", action, {
      why: `a record has ${this.recordWords} words, and the array is ${
        isWords ? `one of ${lengthOf(record)}` : show(record)
      }`,
      fix: "Give an Int32Array of one record.",
    });
  }

  #refuseWord(word: unknown, action: string): never {
    checkInteger(word, "word", -(2 ** 31), 2 ** 31 - 1, action);
    throw new NumaError("EINVAL", action, {
      why: `its records have ${this.recordWords} words`,
      fix: "Use push and pop.",
    });
  }
}

/** A thread that can write no more changes no heap. */
function tenantOf(core: PriorityCore, words: Int32Array): Tenant {
  return holdsTenant(words, () => core.holds(), () => core.unlock());
}
