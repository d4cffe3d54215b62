/**
 * The core of Slab and NodePool: who owns which object, and how objects change hands without locks.
 *
 * Objects come in chunks; a chunk has an owner, which is a thread's record, and only the owner's thread allocates from
 * it. Vocabulary and layout: `object_layout.ts`. The idea: snmalloc (Liétar et al., ISMM'19), whose remote frees
 * travel back in batches, and mimalloc (Leijen et al., 2019), whose free lists are sharded by owner.
 *
 * Every object is in one of three states, each kept in one word, and each change is one store by one kind of thread:
 *
 * ```
 *   free ---- owner takes ----> allocated ---- another thread frees ----> on its way
 *    ^                             |                                          |
 *    +-------- owner frees --------+              owner receives              |
 *    +------------------------------------------------------------------------+
 * ```
 *
 * Links are hints; states are the truth. `take` looks at the state before it gives an object out, so no damaged list
 * can make it give an object out twice, and a list that does not lead to a free object is built anew from the states.
 * The same scan is how the chunks of a dead thread are taken over: whatever it was doing, its words were whole.
 *
 * A thread that has run out says so in one word. Owners look at it when they free (a plain load of a word that hardly
 * ever changes), do not wait for batches to fill, and put every other chunk that has free objects into the commons, a
 * record that is never a thread's, for whoever runs out.
 *
 * Plain accesses. An object that changes hands does so in order: whoever gives it back does that before the push, the
 * owner receives it after its look at the stack; chunks and records change hands by atomics. Out of order are only looks
 * at the states of a whole chunk, while other threads free objects of it: allocated and on its way are both below 0, and
 * all that such a look asks is whether a state is. The explorer runs this module with plain accesses as steps of their
 * own, and once more without them to see that all others are in order.
 *
 * What a kill between two stores can lose for good: the object in the thread's hands, or the batch (of at most 32)
 * that it was just sending. What it cannot do: give an object out twice, or lose a list.
 *
 * This module only knows an Int32Array, the calling thread's identity and a function that says who is alive.
 *
 * @module
 */
import {
  ALLOCATED,
  CLAIMED,
  CLASS_SHIFT,
  OUTGOING_COUNT,
  outgoingAt,
  OWNER_MASK,
  pendingAt,
  remoteAt,
  threadAt,
  WANTED,
} from "./object_layout.ts";
import type { Census, ObjectHeapOptions } from "./object_options.ts";
import { Outbox } from "./object_outbox.ts";

/** What {@linkcode ObjectHeap.take} gives when nothing is left for this thread. */
export const FULL = -1;
/** What `take` and `give` give when all records are taken by live threads. */
export const CROWDED = -2;
/** What {@linkcode ObjectHeap.give} gives for an id that is not allocated. */
export const NOT_ALLOCATED = -1;

/** Objects that are sorted at a time when a thread has run out: it bounds the time of one `take`. */
const MAX_SORT = 64;

/** A heap of objects as one thread sees it. Give it zeroed memory, or memory that other threads' heaps use already. */
export class ObjectHeap {
  /** Empty once its memory is gone, or it was closed. */
  #words: Int32Array;
  readonly #threads: BigInt64Array;
  readonly #options: ObjectHeapOptions;
  readonly #self: bigint;
  /** Index of the state of the object whose link (id + 1) is 0. */
  readonly #before: number;
  readonly #owners: number;
  readonly #shift: number;
  /** Links to this thread's free objects, by class. Not in shared memory: the states say it all. */
  readonly #heads: Int32Array;
  /** The record's number + 1, as it stands in owner words; -1 before the first use. */
  #mine = -1;
  /** Whether it was this thread that ran out. */
  #wants = false;
  /** Frees to go before this thread looks again for chunks that it can share. */
  #untilShare = 0;
  readonly #outbox: Outbox;

  /**
   * Looks at a heap. Nothing is written before the first `take` or `give`.
   *
   * @param words The bookkeeping: `layout.words` long, 8-byte aligned.
   * @param options What it is made of, the same in each thread.
   */
  constructor(words: Int32Array, options: ObjectHeapOptions) {
    const { layout, slots, self } = options;
    this.#words = words;
    this.#threads = new BigInt64Array(words.buffer, words.byteOffset, words.length >> 1);
    this.#options = options;
    this.#self = BigInt(self);
    this.#before = layout.states - 1;
    this.#owners = layout.owners;
    this.#shift = layout.shift;
    this.#heads = new Int32Array(slots.length);
    this.#outbox = new Outbox(words, layout.states, options.objects);
  }

  /**
   * Takes an object of a class. Three loads and two stores, none of them atomic, unless the thread has run out.
   *
   * @param kind The class.
   * @returns Its id; {@linkcode FULL} or {@linkcode CROWDED}.
   */
  take(kind: number): number {
    const words = this.#words;
    const heads = this.#heads;
    const head = heads[kind] as number;
    if (head > 0) {
      const at = this.#before + head;
      const next = words[at] as number;
      if (next >= 0) {
        words[at] = ALLOCATED;
        heads[kind] = next;
        return head - 1;
      }
    }
    return this.#takeSlow(kind);
  }

  /**
   * Gives an object back. On its owner's thread three loads and two stores, none of them atomic; on others, it joins
   * a batch.
   *
   * @param id A whole number, in range or not.
   * @returns 0; {@linkcode NOT_ALLOCATED} or {@linkcode CROWDED}, and then nothing has changed.
   */
  give(id: number): number {
    const words = this.#words;
    const at = this.#before + 1 + id;
    if (id < 0 || words[at] !== ALLOCATED) return NOT_ALLOCATED;
    const owner = words[this.#owners + (id >> this.#shift)] as number;
    if ((owner & OWNER_MASK) !== this.#mine) return this.#giveRemote(id);
    const kind = owner >>> CLASS_SHIFT;
    words[at] = this.#heads[kind] as number;
    this.#heads[kind] = id + 1;
    if (words[WANTED] !== 0) this.#share();
    return 0;
  }

  /**
   * The class of an allocated object.
   *
   * @param id A whole number, in range or not.
   * @returns Its class, or {@linkcode NOT_ALLOCATED}.
   */
  classOf(id: number): number {
    const words = this.#words;
    if (id < 0 || words[this.#before + 1 + id] !== ALLOCATED) return NOT_ALLOCATED;
    return (words[this.#owners + (id >> this.#shift)] as number) >>> CLASS_SHIFT;
  }

  /**
   * Where the chunk of an object begins.
   *
   * @param id An allocated object's.
   * @returns In units.
   */
  baseOf(id: number): number {
    return this.#words[this.#options.layout.bases + (id >> this.#shift)] as number;
  }

  /** Sends the objects of others that this thread has freed to their owners, however few. */
  flush(): void {
    if (this.#mine > 0) this.#outbox.flush(this.#mine - 1);
  }

  /** Ends this thread's use for good, also where its views cannot be emptied. */
  close(): void {
    this.leave();
    if (this.#words.length > 0) this.#words = this.#words.subarray(0, 0);
  }

  /** Ends this thread's use: its chunks are for the next one that runs out. */
  leave(): void {
    if (this.#mine < 0 || this.#words.length === 0) return;
    this.flush();
    Atomics.store(this.#threads, threadAt(this.#mine - 1), 0n);
    this.#heads.fill(0);
    this.#mine = -1;
  }

  /**
   * Counts. A scan over all states; what other threads do meanwhile may be counted or not.
   *
   * @returns By class.
   */
  census(): Census {
    const allocated: number[] = this.#options.slots.map(() => 0);
    const chunks: number[] = allocated.slice();
    this.#eachChunk((chunk, owner) => {
      const kind = owner >>> CLASS_SHIFT;
      const first = this.#before + 1 + (chunk << this.#shift);
      const end = first + this.#slotsOf(chunk, kind);
      let count = 0;
      for (let at = first; at < end; at++) if (this.#words[at] === ALLOCATED) count++;
      // A class that does not exist was scribbled there.
      if (kind >= chunks.length) return;
      allocated[kind] = (allocated[kind] as number) + count;
      chunks[kind] = (chunks[kind] as number) + 1;
    });
    return { allocated, chunks };
  }

  /** This thread has none left: mends its list, then asks for more, the cheapest first. */
  #takeSlow(kind: number): number {
    const damaged = this.#heads[kind] !== 0;
    if (this.#words.length === 0 || !this.#join()) return CROWDED;
    if (damaged) this.#rebuild();
    while (this.#heads[kind] === 0 && this.#receive(this.#mine - 1, MAX_SORT) > 0);
    if (this.#words[WANTED] !== 0 && !this.#wants) this.#share();
    if (this.#heads[kind] === 0 && !this.#claim(kind)) {
      this.flush();
      if (!this.#takeShared(kind)) this.#adopt();
    }
    const head = this.#heads[kind] as number;
    const next = head > 0 ? this.#words[this.#before + head] as number : -1;
    if (!(next >= 0)) {
      this.#want(1);
      return FULL;
    }
    if (this.#wants) this.#want(0);
    this.#words[this.#before + head] = ALLOCATED;
    this.#heads[kind] = next;
    return head - 1;
  }

  #giveRemote(id: number): number {
    if (!this.#join()) return CROWDED;
    const words = this.#words;
    // Read again: joining may have made this thread the owner.
    const owner = this.#resolve(id);
    if (owner === 0) return NOT_ALLOCATED;
    if (owner === this.#mine) return this.give(id);
    const wanted = words[WANTED] !== 0;
    this.#outbox.add(this.#mine - 1, id + 1, owner, wanted);
    if (wanted && !this.#wants) this.#share();
    return 0;
  }

  /** The record + 1 that owns an object's chunk; 0 for none, or for a word that was scribbled over. */
  #ownerOf(id: number): number {
    const owner = this.#words[this.#owners + (id >> this.#shift)] as number;
    const record = owner & OWNER_MASK;
    const known = record <= this.#options.layout.records + 1 &&
      owner >>> CLASS_SHIFT < this.#heads.length;
    return known ? record : 0;
  }

  /** As {@linkcode #ownerOf}; whoever frees an object of the commons becomes its chunk's owner. */
  #resolve(id: number): number {
    const commons = this.#options.layout.records + 1;
    const chunk = id >> this.#shift;
    for (;;) {
      const owner = this.#ownerOf(id);
      if (owner !== commons) return owner;
      if (this.#takeChunk(chunk)) return this.#mine;
    }
  }

  /** Takes a chunk out of the commons, unless somebody is faster. */
  #takeChunk(chunk: number): boolean {
    const at = this.#owners + chunk;
    const owner = Atomics.load(this.#words, at);
    if ((owner & OWNER_MASK) !== this.#options.layout.records + 1) return false;
    const kind = owner >>> CLASS_SHIFT;
    const mine = kind << CLASS_SHIFT | this.#mine;
    if (Atomics.compareExchange(this.#words, at, owner, mine) !== owner) return false;
    this.#collect(chunk, kind);
    return true;
  }

  /** Takes one chunk of a class with free objects out of the commons: others may want the rest. */
  #takeShared(kind: number): boolean {
    const shared = kind << CLASS_SHIFT | (this.#options.layout.records + 1);
    this.#eachChunk((chunk, owner) => {
      if (owner === shared && this.#heads[kind] === 0) this.#takeChunk(chunk);
    });
    return this.#heads[kind] !== 0;
  }

  /** Receives what others freed, up to `most` objects of it. Returns how many. */
  #receive(record: number, most: number): number {
    let received = 0;
    while (received < most) {
      if (this.#words[pendingAt(record)] === 0 && !this.#takeRemote(record)) break;
      received += this.#sort(record, most - received);
    }
    return received;
  }

  /** Moves a record's remote stack, all of it, to its pending list. */
  #takeRemote(record: number): boolean {
    const words = this.#words;
    for (;;) {
      const top = Atomics.load(words, remoteAt(record));
      if (top === 0) return false;
      // Says what is about to happen, so that a kill on either side of the exchange loses nothing (#resume).
      words[pendingAt(record)] = ~top;
      if (Atomics.compareExchange(words, remoteAt(record), top, 0) === top) {
        words[pendingAt(record)] = top;
        return true;
      }
    }
  }

  /** Brings objects of a record's pending list to where they belong, up to `most`. Returns how many. */
  #sort(record: number, most: number): number {
    const words = this.#words;
    const pending = pendingAt(record);
    for (let sorted = 0; sorted < most; sorted++) {
      const link = words[pending] as number;
      if (!this.#outbox.isOnItsWay(link)) {
        words[pending] = 0;
        return sorted;
      }
      const at = this.#before + link;
      // First off the list, then into its new state: a kill in between loses this one, the other way round the list.
      words[pending] = ~(words[at] as number);
      const owner = this.#resolve(link - 1);
      if (owner === this.#mine) {
        this.#keep(link);
      } else if (owner !== 0) {
        // Its chunk has a new owner since it was sent.
        words[at] = ~0;
        this.#outbox.push(owner, link, link);
      }
    }
    return most;
  }

  /** Puts an object of this thread's chunks on its free list. */
  #keep(link: number): void {
    const kind = (this.#words[this.#owners + ((link - 1) >> this.#shift)] as number) >>>
      CLASS_SHIFT;
    this.#words[this.#before + link] = this.#heads[kind] as number;
    this.#heads[kind] = link;
  }

  #slotsOf(chunk: number, kind: number): number {
    const { slots, objects } = this.#options;
    return Math.min(slots[kind] ?? 0, objects - (chunk << this.#shift));
  }

  /** Puts the free objects of a chunk on this thread's list, whatever their links say; the lowest comes first. */
  #collect(chunk: number, kind: number): void {
    const first = (chunk << this.#shift) + 1;
    for (let link = first + this.#slotsOf(chunk, kind) - 1; link >= first; link--) {
      if ((this.#words[this.#before + link] as number) >= 0) this.#keep(link);
    }
  }

  /** Calls for each claimed chunk, with its owner word. */
  #eachChunk(visit: (chunk: number, owner: number) => void): void {
    const { chunks } = this.#options.layout;
    // Not up to the count of claimed ones: the last claim may have stopped halfway.
    for (let chunk = 0; chunk < chunks; chunk++) {
      const owner = Atomics.load(this.#words, this.#owners + chunk);
      if (owner === 0) return;
      visit(chunk, owner);
    }
  }

  /** Builds the free lists anew from the states. */
  #rebuild(): void {
    this.#heads.fill(0);
    this.#eachChunk((chunk, owner) => {
      if ((owner & OWNER_MASK) === this.#mine) this.#collect(chunk, owner >>> CLASS_SHIFT);
    });
  }

  /** Puts every other chunk of this thread's that has free objects into the commons. */
  #share(): void {
    // Its own want; others say theirs again the next time.
    if (this.#wants) return this.#want(0);
    if (--this.#untilShare > 0) return;
    const commons = this.#options.layout.records + 1;
    let chunks = 0;
    let spare = 0;
    this.#eachChunk((chunk, owner) => {
      if ((owner & OWNER_MASK) !== this.#mine) return;
      chunks++;
      const kind = owner >>> CLASS_SHIFT;
      // The first is kept: a thread that gave its last one away would run out at once.
      if (!this.#hasFree(chunk, kind) || spare++ % 2 === 0) return;
      Atomics.store(this.#words, this.#owners + chunk, kind << CLASS_SHIFT | commons);
    });
    // After a look in vain as many frees as it has objects: so a look costs a free no more than a few loads.
    this.#untilShare = spare < 2 ? chunks << this.#shift : chunks;
    if (spare < 2) return;
    this.#rebuild();
    this.#want(0);
  }

  /** Says that some thread has run out, or that something was done about it. */
  #want(value: 0 | 1): void {
    this.#wants = value === 1;
    if (this.#words[WANTED] !== value) Atomics.store(this.#words, WANTED, value);
  }

  #hasFree(chunk: number, kind: number): boolean {
    const first = this.#before + 1 + (chunk << this.#shift);
    const end = first + this.#slotsOf(chunk, kind);
    for (let at = first; at < end; at++) if ((this.#words[at] as number) >= 0) return true;
    return false;
  }

  /** Claims a chunk nobody has had. Every step can be finished by whoever comes next. */
  #claim(kind: number): boolean {
    const words = this.#words;
    const { layout, units, room } = this.#options;
    let chunk = Atomics.load(words, CLAIMED);
    while (chunk >= 0 && chunk < layout.chunks) {
      const base = Atomics.load(words, layout.bases + chunk);
      if (!(base + (units[kind] as number) <= room)) return false;
      const mine = kind << CLASS_SHIFT | this.#mine;
      const before = Atomics.compareExchange(words, layout.owners + chunk, 0, mine);
      // Everybody computes the same base, so it does not matter who stores it, or how often.
      const taken = units[(before === 0 ? mine : before) >>> CLASS_SHIFT] ?? 0;
      Atomics.store(words, layout.bases + chunk + 1, base + taken);
      Atomics.compareExchange(words, CLAIMED, chunk, chunk + 1);
      if (before === 0) {
        this.#collect(chunk, kind);
        return true;
      }
      chunk++;
    }
    return false;
  }

  /** Gets a record: nobody's, or else a dead thread's. */
  #join(): boolean {
    if (this.#mine > 0) return true;
    const { records } = this.#options.layout;
    for (const dead of [false, true]) {
      for (let record = 0; record < records; record++) {
        if (!this.#takeRecord(record, dead)) continue;
        this.#mine = record + 1;
        this.#resume(record);
        return true;
      }
    }
    return false;
  }

  /** Makes a record this thread's, if it is nobody's or, when asked to look, a dead thread's. */
  #takeRecord(record: number, dead: boolean): boolean {
    const at = threadAt(record);
    const thread = Atomics.load(this.#threads, at);
    if (thread !== 0n && (!dead || this.#isAlive(Number(thread)))) return false;
    return Atomics.compareExchange(this.#threads, at, thread, this.#self) === thread;
  }

  /** What is no identity was scribbled there, and no thread's. */
  #isAlive(identity: number): boolean {
    return Number.isSafeInteger(identity) && identity > 0 && this.#options.alive(identity);
  }

  /** Takes over what dead or departed threads have left. */
  #adopt(): void {
    const { records } = this.#options.layout;
    const left = new Uint8Array(records + 2);
    this.#eachChunk((_, owner) => {
      left[owner & OWNER_MASK] = 1;
    });
    for (let record = 0; record < records; record++) {
      const thread = threadAt(record);
      const nobodys = Atomics.load(this.#threads, thread) === 0n;
      const empty = left[record + 1] === 0 && Atomics.load(this.#words, remoteAt(record)) === 0;
      if (record + 1 === this.#mine || nobodys && empty) continue;
      if (!this.#takeRecord(record, true)) continue;
      this.#resume(record);
      Atomics.store(this.#threads, thread, 0n);
    }
  }

  /** Goes on where the last thread of a record stopped, wherever that was. The record is this thread's by now. */
  #resume(record: number): void {
    const words = this.#words;
    const { objects } = this.#options;
    this.#eachChunk((chunk, owner) => {
      if ((owner & OWNER_MASK) !== record + 1) return;
      const kind = owner >>> CLASS_SHIFT;
      Atomics.store(words, this.#owners + chunk, kind << CLASS_SHIFT | this.#mine);
      this.#collect(chunk, kind);
    });
    const pending = pendingAt(record);
    const stopped = words[pending] as number;
    if (stopped < 0) words[pending] = this.#isStacked(record, ~stopped) ? 0 : ~stopped;
    this.#sort(record, objects);
    this.#receive(record, objects);
    for (let slot = 0; slot < OUTGOING_COUNT; slot++) {
      const at = outgoingAt(record) + slot;
      const first = words[at] as number;
      words[at] = 0;
      words[pending] = first;
      this.#sort(record, objects);
    }
  }

  /** Whether a link is on a record's remote stack, which only this thread may empty. */
  #isStacked(record: number, wanted: number): boolean {
    let link = Atomics.load(this.#words, remoteAt(record));
    for (let steps = 0; steps < this.#options.objects && this.#outbox.isOnItsWay(link); steps++) {
      if (link === wanted) return true;
      link = ~(this.#words[this.#before + link] as number);
    }
    return false;
  }
}
