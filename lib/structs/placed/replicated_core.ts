/**
 * Copies of a map, one for each node, and the log of operations that they have in common: reads are local, and writes go
 * through the log.
 *
 * ```
 *   the first part    | tail |             how many operations there have been: modulo 2^32
 *                     | owner | safe |     the id of the thread that appends, 0 for nobody | every copy has so many operations
 *                     | records |          of the last operations: kind | entries then | key | value
 *
 *   each part         | applied | lost | size |   the operations that its copy has | 1: it has no room | its entries then
 *                     | owner |            the id of the thread that does operations on it, 0 for nobody
 *                     | the copy |
 * ```
 *
 * **A write** takes the log's owner word, brings the copy of its own node up to `tail`, decides there what to do, writes a
 * record, and stores the next `tail`. With that store it has happened. Any thread does the operations that a copy has not
 * got yet, under the copy's owner word: the writer on its own copy, once it has given the log back, and on others who
 * reads there next. A record's place is used again when every copy has done its operation; the writer who finds none free
 * does the operations of copies that nobody reads.
 *
 * **A read** looks at `tail`, and at `applied` of its copy. If that is behind, it does the operations, or waits for the
 * thread that does. Then it reads the copy. In a time without writes both words stay in its caches.
 *
 * Why it is linearizable. Let a read find `tail` at n. The copy that it reads has at least the first n operations, so all
 * that have happened before the read began. It may have more; these had happened by then, because nobody does an operation
 * that is not in the log. So the read finds a key as it was after some operation between those of its beginning and of its
 * end. Of two reads one after the other the second has as many operations as the first one: if the first one has seen
 * operation m, then `tail` was m or more before the second one began, wherever that reads. Writes happen one after the
 * other, and each decides by a copy that has all before it.
 *
 * Death. A record behind `tail` is nothing: a thread that dies while it appends leaves its word, which the next one takes.
 * One that dies while it does operations leaves `applied` as it was, and the next one does them again, in their order. A key
 * can go back to what it was some operations ago meanwhile, and forward again. No reader sees that who might know better:
 * who has seen one of these operations has seen it in `tail`, and whoever begins after that waits until all are done.
 *
 * A copy that has no room for an entry, because of how its keys hash, cannot go on. It is lost: readers go to another one.
 *
 * Costs. A read: two looks with order, of which one is at a word that only writes change, and those of the copy. A write:
 * two atomic operations for the log's owner, one store for `tail`, plain stores for the record; on each copy the operation
 * itself, and for all that is done at a time four atomic operations.
 *
 * Wrap-around: a read that sleeps for 2^31 writes between its two looks could miss those before it.
 *
 * Node Replication (Calciu, Sen, Balakrishnan and Aguilera, ASPLOS 2017), with one thread at a time that appends.
 *
 * @module
 */
import { loadFollowing, loadShared } from "../../wait/loads.ts";
import { storeBetween } from "../../wait/stores.ts";
import type { Waiter } from "../../wait/waiter.ts";
import { BUSY } from "../outcomes.ts";
import {
  APPLIED,
  COPY_OWNER,
  KIND,
  LOG_OWNER,
  LOST,
  RECORD_HEAD,
  RECORDS,
  type ReplicatedLayout,
  SAFE,
  SIZE,
  SIZE_AFTER,
  TAIL,
} from "./replicated_table.ts";

/** The copy has all operations. */
export const CURRENT = 1;
/** The copy had no room for an entry: nobody reads it any more. */
export const GONE = 0;

/** A copy's entries. */
export interface Replica {
  /**
   * Does an operation; once more, if a thread has died in it.
   *
   * @param me The calling thread, which owns the copy.
   * @param log The log.
   * @param at Where the record is in it.
   * @returns False if there is no room.
   */
  apply(me: Waiter, log: Int32Array, at: number): boolean;
}

/** The algorithm of `ReplicatedMap`. */
export class ReplicatedCore {
  readonly #parts: readonly Int32Array[];
  readonly #replicas: readonly Replica[];
  readonly #log: Int32Array;
  readonly #records: number;
  readonly #recordWords: number;

  /**
   * @param parts Its memories: zero at first. The log is in the first one.
   * @param layout How records are laid out.
   * @param replicas The entries of each.
   */
  constructor(
    parts: readonly Int32Array[],
    layout: Pick<ReplicatedLayout, "records" | "recordWords">,
    replicas: readonly Replica[],
  ) {
    this.#parts = parts;
    this.#replicas = replicas;
    this.#log = parts[0] as Int32Array;
    this.#records = layout.records;
    this.#recordWords = layout.recordWords;
  }

  /**
   * How many operations there have been. {@linkcode ReplicatedCore.has} may follow.
   *
   * @returns The number, modulo 2^32.
   */
  tail(): number {
    return loadShared(this.#log, TAIL);
  }

  /**
   * Whether a copy has so many operations. Right after {@linkcode ReplicatedCore.tail}, and once.
   *
   * @param copy The copy's number.
   * @param tail How many.
   * @returns Whether it has.
   */
  has(copy: number, tail: number): boolean {
    return ((loadFollowing(this.#parts[copy] as Int32Array, APPLIED) - tail) | 0) >= 0;
  }

  /**
   * Does the operations that a copy has not got, if it has fewer than so many.
   *
   * @param me The calling thread, which owns no copy.
   * @param copy The copy's number.
   * @param tail How many it is to have.
   * @returns {@linkcode CURRENT}; {@linkcode GONE}; {@linkcode BUSY} if another thread does them.
   */
  bring(me: Waiter, copy: number, tail: number): number {
    const words = this.#parts[copy] as Int32Array;
    if (((loadShared(words, APPLIED) - tail) | 0) >= 0) return CURRENT;
    if (!this.#take(me, words, COPY_OWNER)) return BUSY;
    try {
      return this.#apply(me, copy) ? CURRENT : GONE;
    } finally {
      Atomics.store(words, COPY_OWNER, 0);
    }
  }

  /**
   * The number of entries of a copy.
   *
   * @param copy The copy's number.
   * @returns How many it had after some operation.
   */
  size(copy: number): number {
    return Math.max(0, loadShared(this.#parts[copy] as Int32Array, SIZE));
  }

  /**
   * Locks the log, if nobody else has it.
   *
   * @param me The calling thread, which has not locked it.
   * @returns Whether it has.
   */
  tryLock(me: Waiter): boolean {
    return this.#take(me, this.#log, LOG_OWNER);
  }

  /** Unlocks the log, which this thread has locked. */
  unlock(): void {
    Atomics.store(this.#log, LOG_OWNER, 0);
  }

  /**
   * Makes room for a record in the log, which this thread has locked.
   *
   * @param me The calling thread.
   * @returns {@linkcode CURRENT} if there is; {@linkcode BUSY} if a copy that is behind is being written to.
   */
  room(me: Waiter): number {
    const log = this.#log;
    const records = this.#records;
    const tail = Atomics.load(log, TAIL);
    // In memory that any thread can write to: what is no distance is too long.
    if ((tail - (log[SAFE] as number)) >>> 0 < records) return CURRENT;
    let behind = 0;
    for (let copy = 0; copy < this.#parts.length; copy++) {
      let missing = this.#missing(copy, tail);
      if (missing >= records) {
        const outcome = this.bring(me, copy, tail);
        if (outcome === BUSY) return BUSY;
        // A lost one does without.
        missing = 0;
      }
      if (missing > behind) behind = missing;
    }
    log[SAFE] = (tail - behind) | 0;
    return CURRENT;
  }

  /**
   * Appends an operation to the log, which this thread has locked, and in which there is room.
   *
   * @param kind What it does: a number of which the copies know.
   * @param size The number of entries after it.
   * @param key The key, from its start.
   * @param value The value, from its start.
   */
  append(kind: number, size: number, key: Int32Array, value: Int32Array): void {
    const log = this.#log;
    const tail = Atomics.load(log, TAIL);
    let at = this.#at(tail);
    storeBetween(log, at + KIND, kind);
    storeBetween(log, at + SIZE_AFTER, size);
    at += RECORD_HEAD;
    for (let word = 0; word < key.length; word++) storeBetween(log, at++, key[word] as number);
    for (let word = 0; word < value.length; word++) storeBetween(log, at++, value[word] as number);
    Atomics.store(log, TAIL, (tail + 1) | 0);
  }

  /** Does what is in the log, and the copy that this thread owns has not got. Returns false if there is no room. */
  #apply(me: Waiter, copy: number): boolean {
    const words = this.#parts[copy] as Int32Array;
    const replica = this.#replicas[copy] as Replica;
    const log = this.#log;
    // Records that it has not got may be others by now.
    if (Atomics.load(words, LOST) !== 0) return false;
    const tail = Atomics.load(log, TAIL);
    const missing = Math.min(this.#missing(copy, tail), this.#records);
    for (let left = missing; left > 0; left--) {
      if (replica.apply(me, log, this.#at(tail - left))) continue;
      Atomics.store(words, LOST, 1);
      return false;
    }
    if (missing > 0) Atomics.store(words, SIZE, log[this.#at(tail - 1) + SIZE_AFTER] as number);
    Atomics.store(words, APPLIED, tail);
    return true;
  }

  /** How many operations a copy has not got. */
  #missing(copy: number, tail: number): number {
    return (tail - Atomics.load(this.#parts[copy] as Int32Array, APPLIED)) >>> 0;
  }

  #at(operation: number): number {
    return RECORDS + (operation & (this.#records - 1)) * this.#recordWords;
  }

  /** Takes an owner's word, also of a thread that has died with it. */
  #take(me: Waiter, words: Int32Array, at: number): boolean {
    let owner = Atomics.compareExchange(words, at, 0, me.id);
    while (owner !== 0) {
      if (me.alive(owner)) return false;
      const found = Atomics.compareExchange(words, at, owner, me.id);
      if (found === owner) return true;
      owner = found === 0 ? Atomics.compareExchange(words, at, 0, me.id) : found;
    }
    return true;
  }
}
