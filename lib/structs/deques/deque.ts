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
import { optionOf, settingsOf } from "../rings/ring_settings.ts";
import { DequeCore, DONE, FOREIGN, NONE } from "./deque_core.ts";

/** Options of a `Deque`. */
export interface DequeOptions extends SyncOptions {
  /** The number of records that it has room for: a power of two from 2 to 2^24. Default: 1,024. */
  readonly capacity?: number;
  /** The number of 32-bit words of a record: 1 to 16. Default: 1. */
  readonly recordWords?: number;
}

/**
 * What came of an attempt to steal a record: it was taken; there was none; or another thread took it first, and there may
 * be more.
 */
export type StealResult = "taken" | "empty" | "lost";

const MAX_RECORD_WORDS = 16;
/** How often `stealWord` tries. */
const TRIES = 64;

const PUSH = "push to a deque";
const POP = "pop from a deque";
const STEAL = "steal from a deque";

const KIND = /* @__PURE__ */ defineKind<Deque, DequeOptions>({
  name: "Deque",
  code: 63,
  title: "a deque",
  accepts: ["threads", "capacity", "recordWords"],
  option: (options, action) => optionOf(options, action, MAX_RECORD_WORDS),
  words(_, option) {
    const { capacity, recordWords } = settingsOf(option, MAX_RECORD_WORDS);
    return DequeCore.words(capacity, recordWords);
  },
});

/**
 * A work-stealing deque of fixed-size records: its owner pushes and pops the newest, other threads steal the oldest.
 *
 * A record is one or more 32-bit words, for example the number of a task and its arguments. Give each worker one deque, on
 * its own node: it pushes the tasks that it creates and pops them, which hardly costs anything, and a worker that has
 * nothing left steals from the others. The first thread that pushes or pops becomes the owner. It stays so until it ends,
 * destroys the deque's arena, or calls {@linkcode Deque.disown}; then another thread can {@linkcode Deque.adopt} the deque.
 *
 * Nobody ever waits: full, empty and "another thread was faster" are return values. Combine it with an `EventCount` for
 * workers that sleep when there is nothing to steal. The capacity is fixed: run a task at once if `push` returns false.
 *
 * Properties: last in, first out for the owner; first in, first out for those who steal; each record is taken once. A
 * thread that dies after it has taken a record takes the record with it. An owner may die anywhere else in `push` or `pop`:
 * a record that it was pushing is there or not, and one that it was popping is there again after `adopt`. Costs: `push` one
 * atomic operation; `pop` one, or two for the last record; `steal` one and a load. No call of native code, no allocation.
 *
 * @example
 * ```ts
 * import { Deque } from "@numakit/numakit";
 *
 * const deque = Deque.create(new SharedArrayBuffer(Deque.bytes()));
 * // The owner:
 * deque.pushWord(1);
 * deque.pushWord(2);
 * deque.pushWord(3);
 * console.log(deque.popWord()); // 3
 * // Any thread that was given the deque:
 * console.log(deque.stealWord()); // 1
 * ```
 *
 * @example Records of several words
 * ```ts
 * import { Deque } from "@numakit/numakit";
 *
 * const options = { capacity: 256, recordWords: 2 };
 * const deque = Deque.create(new SharedArrayBuffer(Deque.bytes(options)), options);
 * deque.push(Int32Array.of(7, 100));
 * const record = new Int32Array(2);
 * console.log(deque.steal(record), record[1]); // taken 100
 * ```
 */
export class Deque implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(Deque, (region) => new Deque(region));
  readonly #core: DequeCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #size: number;
  /** The record of the methods that take a word. */
  readonly #word: Int32Array = new Int32Array(1);

  private constructor(region: Region) {
    const { capacity, recordWords } = settingsOf(region.option, MAX_RECORD_WORDS);
    this.#core = new DequeCore(region.words, capacity, recordWords);
    this.#size = recordWords;
    this.#attached = new Attachment(region);
    this.#me = this.#attached.me;
    settleIn(this, region, "owner", tenantOf(this.#core, region.words, this.#me));
  }

  /**
   * Creates an empty deque that has no owner yet.
   *
   * @param memory The memory for it: an arena on the owner's node, or a `SharedArrayBuffer` of {@linkcode Deque.bytes}
   * bytes.
   * @param options The number and size of its records, and other options.
   * @returns The deque.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: DequeOptions = {}): Deque {
    return Deque.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a deque needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: DequeOptions = {}): number {
    return Deque.#kind.bytes(options);
  }

  /**
   * Returns the live deque of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Deque.toHandle}, made in any thread of this process.
   * @returns The deque.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Deque {
    return Deque.#kind.attach(handle);
  }

  /** The number of records that it has room for. */
  get capacity(): number {
    return this.#core.capacity;
  }

  /** The number of 32-bit words of a record. */
  get recordWords(): number {
    return this.#size;
  }

  /**
   * The number of records in it at this moment. A record that its owner is popping is not counted.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get length(): number {
    this.#attached.check("read");
    return this.#core.length();
  }

  /**
   * Whether this thread is its owner.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get owned(): boolean {
    this.#attached.check("read");
    return this.#core.owner() === this.#me.id;
  }

  /**
   * Puts a record in, as the newest. For the owner. Cost: one atomic operation.
   *
   * @param record Its words: as many as {@linkcode Deque.recordWords}.
   * @returns False if there is no room.
   * @throws {NumaError} `EOWNER` if another thread owns the deque; `EOWNERDEAD` if its owner has ended; `EINVAL` if it is
   * no such record; `EDESTROYED` if its arena is destroyed.
   */
  push(record: Int32Array): boolean {
    this.#check(record, PUSH);
    try {
      let done = this.#core.push(this.#me, record);
      if (done === FOREIGN) {
        this.#claim(PUSH);
        done = this.#core.push(this.#me, record);
      }
      return done === DONE;
    } catch (error) {
      this.#attached.check("push to");
      throw error;
    }
  }

  /**
   * Takes the newest record out. For the owner. Cost: one atomic operation; another one for the last record; none if the
   * owner has found the deque empty before.
   *
   * @param target Where its words go: as many as {@linkcode Deque.recordWords}. If none is taken, it may hold anything.
   * @returns False if the deque is empty.
   * @throws {NumaError} As {@linkcode Deque.push}.
   */
  pop(target: Int32Array): boolean {
    this.#check(target, POP);
    try {
      let done = this.#core.pop(this.#me, target);
      if (done === FOREIGN) {
        this.#claim(POP);
        done = this.#core.pop(this.#me, target);
      }
      return done === DONE;
    } catch (error) {
      this.#attached.check("pop from");
      throw error;
    }
  }

  /**
   * Takes the oldest record out. For any thread, also the owner. Cost: a load, and one atomic operation if there is a
   * record.
   *
   * @param target Where its words go: as many as {@linkcode Deque.recordWords}. If none is taken, it may hold anything.
   * @returns `"taken"`; `"empty"` if there is no record; `"lost"` if another thread took it first: try again, or elsewhere.
   * @throws {NumaError} `EINVAL` if `target` has not the size of a record; `EDESTROYED` if its arena is destroyed.
   */
  steal(target: Int32Array): StealResult {
    this.#check(target, STEAL);
    try {
      const done = this.#core.steal(target);
      return done === DONE ? "taken" : done === NONE ? "empty" : "lost";
    } catch (error) {
      this.#attached.check("steal from");
      throw error;
    }
  }

  /**
   * Puts a record of one word in, as the newest. For the owner of a deque whose records have one word.
   *
   * @param word The word: a whole number from -2^31 to 2^31 - 1.
   * @returns False if there is no room.
   * @throws {NumaError} As {@linkcode Deque.push}.
   */
  pushWord(word: number): boolean {
    if (typeof word !== "number" || (word | 0) !== word || this.#size !== 1) {
      this.#refuseWord(word, PUSH);
    }
    const record = this.#word;
    record[0] = word;
    try {
      let done = this.#core.push(this.#me, record);
      if (done === FOREIGN) {
        this.#claim(PUSH);
        done = this.#core.push(this.#me, record);
      }
      return done === DONE;
    } catch (error) {
      this.#attached.check("push to");
      throw error;
    }
  }

  /**
   * Takes the newest record out. For the owner of a deque whose records have one word.
   *
   * @returns The word; undefined if the deque is empty.
   * @throws {NumaError} As {@linkcode Deque.push}.
   */
  popWord(): number | undefined {
    if (this.#size !== 1) this.#refuseWord(0, POP);
    const record = this.#word;
    try {
      let done = this.#core.pop(this.#me, record);
      if (done === FOREIGN) {
        this.#claim(POP);
        done = this.#core.pop(this.#me, record);
      }
      return done === DONE ? record[0] : undefined;
    } catch (error) {
      this.#attached.check("pop from");
      throw error;
    }
  }

  /**
   * Takes the oldest record out. For any thread, if the records of the deque have one word. It tries again when another
   * thread was faster.
   *
   * @returns The word; undefined if the deque is empty, or if other threads were faster 64 times in a row.
   * @throws {NumaError} `EINVAL` if its records have more words; `EDESTROYED` if its arena is destroyed.
   */
  stealWord(): number | undefined {
    if (this.#size !== 1) this.#refuseWord(0, STEAL);
    const record = this.#word;
    try {
      for (let tries = 0; tries < TRIES; tries++) {
        const done = this.#core.steal(record);
        if (done === DONE) return record[0];
        if (done === NONE) return undefined;
      }
      return undefined;
    } catch (error) {
      this.#attached.check("steal from");
      throw error;
    }
  }

  /**
   * Makes this thread the owner, if there is none that lives. What the owner before has left in it stays in it.
   *
   * @returns Whether this thread is the owner: false if another one is.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  adopt(): boolean {
    this.#attached.check("adopt");
    return this.#core.adopt(this.#me);
  }

  /**
   * Ends that this thread is the owner. The next thread that pushes, pops or adopts becomes the owner.
   *
   * @throws {NumaError} `EOWNER` if this thread is not the owner; `EDESTROYED` if its arena is destroyed.
   */
  disown(): void {
    this.#attached.check("disown");
    if (this.#core.disown(this.#me)) return;
    throw new NumaError("EOWNER", "disown a deque", {
      why: "this thread does not own it",
      fix: "Call disown once, in the thread that pushes and pops.",
    });
  }

  /**
   * Returns a handle with which another thread finds the deque. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** Checks that an array is as long as a record. */
  #check(record: Int32Array, action: string): void {
    const isWords = ArrayBuffer.isView(record) && record instanceof Int32Array;
    if (isWords && lengthOf(record) === this.#size) return;
    throw new NumaError("EINVAL", action, {
      why: `a record has ${this.#size} words, and the array is ${
        isWords ? `one of ${lengthOf(record)}` : show(record)
      }`,
      fix: "Give an Int32Array of one record.",
    });
  }

  #refuseWord(word: unknown, action: string): never {
    checkInteger(word, "word", -(2 ** 31), 2 ** 31 - 1, action);
    throw new NumaError("EINVAL", action, {
      why: `its records have ${this.#size} words`,
      fix: "Use push, pop and steal.",
    });
  }

  /** Becomes the owner, or says why it cannot. */
  #claim(action: string): void {
    const owner = this.#core.claim(this.#me);
    if (owner === 0) return;
    if (this.#me.alive(owner)) {
      throw new NumaError("EOWNER", action, {
        why: "another thread owns it",
        fix: "Steal from it, or let its owner call disown().",
      });
    }
    throw new NumaError("EOWNERDEAD", action, {
      why: "the thread that owned it has ended",
      fix: "Call adopt() to go on with what it has left, or steal that.",
    });
  }
}

/** A thread that can push and pop no more is not the owner. */
function tenantOf(core: DequeCore, words: Int32Array, me: ThreadWaiter): Tenant {
  return holdsTenant(words, () => core.owner() === me.id, () => core.disown(me));
}
