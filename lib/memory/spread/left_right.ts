/**
 * Two versions side by side: readers that never wait, a writer that never tears.
 *
 * Every copy has two sides. Version v is on side v & 1 of every copy. A reader announces the side it reads in a line of
 * its own; the writer writes the side that is not current, once nobody announces it any more, on all copies, and only
 * then raises the copies' version words.
 *
 * ```
 *   one copy's control words, in lines of 128 bytes (two cache lines: x86 prefetches them in pairs)
 *   +--------------------------------------------------------------------------------------------+
 *   | 0: version | 1: top | 2-3: owner | 4: readers | 5: place | 8-9: family | 10-11: size |     |
 *   +--------------------------------------------------------------------------------------------+
 *   | 0: held    |        | 2-3: identity |                            reader line of thread slot 0
 *   +--------------------------------------------------------------------------------------------+
 *   | 0: held    |        | 2-3: identity |                            reader line of thread slot 1
 *   +--------------------------------------------------------------------------------------------+
 * ```
 *
 * - `version`: the newest version on this copy. Raised by the writer, and by a reader that has seen the next one
 *   elsewhere. 32 bits that wrap: a reader that slept for 2^31 updates must not take its own for the newer one.
 * - `top`: reader lines from here on were never used, so the writer need not look at them.
 * - `owner`: identity of the thread that writes, 0 for nobody. Counts on the first copy only.
 * - `held`: bit s is set while the thread reads side s. Written by that thread alone.
 * - `identity`: whose line it is. Thread slots are reused, identities are not.
 * - `readers`, `place`, `family`, `size` tell whether a copy is what a handle says; they never change.
 *
 * This is Left-Right (Ramalhete and Correia, 2013) with announcements as in hazard pointers (Michael, 2004). The
 * original's readers are wait-free, because its writer waits twice for two sets of counters; here a reader looks whether
 * the version that it saw last is current, and repeats for each publication since. In exchange dead readers can be told
 * from slow ones, a version holds still for as long as it is read, and the writer waits once, before its next update.
 *
 * No memory is made here, so that the real code can be run in every interleaving.
 *
 * @module
 */
import { loadFollowing, loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { LINE_BYTES, LINE_WORDS } from "../../wait/waiter.ts";

const LINE_LONGS = LINE_WORDS / 2;
const VERSION = 0;
const TOP = 1;
const OWNER_LONG = 1;
const READERS = 4;
const PLACE = 5;
const FAMILY_LONG = 4;
const SIZE_LONG = 5;
const IDENTITY_LONG = 1;

/**
 * Bytes of a copy's control words.
 *
 * @param readers Reader lines.
 * @returns The size in bytes.
 */
export function controlBytes(readers: number): number {
  return (1 + readers) * LINE_BYTES;
}

/** What a copy is, so that no other memory is taken for it. */
export interface Stamp {
  /** Identity of the memory of the first copy: the same for all copies of one thing. */
  readonly family: bigint;
  /** Which of the copies, and how many there are, in one word. */
  readonly place: number;
  /** Bytes of a side. */
  readonly size: bigint;
}

/** One copy's control words. */
export class Control {
  /** As 32-bit words. */
  readonly words: Int32Array;
  /** The same as 64-bit words. */
  readonly longs: BigInt64Array;
  /** Reader lines. */
  readonly readers: number;

  /**
   * Views control words.
   *
   * @param buffer Memory that is all zero at first.
   * @param byteOffset Where they are: a multiple of 8; of 128, to keep lines apart.
   * @param readers Reader lines.
   */
  constructor(buffer: ArrayBufferLike, byteOffset: number, readers: number) {
    const bytes = controlBytes(readers);
    this.words = new Int32Array(buffer, byteOffset, bytes / 4);
    this.longs = new BigInt64Array(buffer, byteOffset, bytes / 8);
    this.readers = readers;
  }

  /**
   * Writes what this copy is. Once, before anybody else sees it.
   *
   * @param stamp What it is.
   */
  stamp(stamp: Stamp): void {
    this.words[READERS] = this.readers;
    this.words[PLACE] = stamp.place;
    this.longs[FAMILY_LONG] = stamp.family;
    this.longs[SIZE_LONG] = stamp.size;
  }

  /**
   * Whether this copy is what somebody says it is.
   *
   * @param stamp What it should be.
   * @returns Whether it is.
   */
  bears(stamp: Stamp): boolean {
    const { words, longs } = this;
    return words[READERS] === this.readers && words[PLACE] === stamp.place &&
      longs[FAMILY_LONG] === stamp.family && longs[SIZE_LONG] === stamp.size;
  }

  /** The newest version here. */
  get version(): number {
    return Atomics.load(this.words, VERSION);
  }

  /** Makes a version the newest here. */
  publish(version: number): void {
    Atomics.store(this.words, VERSION, version);
  }
}

/** One thread's way to read one copy. Only that thread uses it. */
export class Reader {
  /** The copy's words: empty once its memory is gone, or it was closed. */
  words: Int32Array;
  readonly #line: number;
  /** What the line says, without asking it. */
  #held = 0;
  /** How many reads of this thread are on each side. */
  readonly #depth: Int32Array = new Int32Array(2);

  /**
   * Takes a reader line.
   *
   * @param control The copy.
   * @param slot The thread's line, below `control.readers`. No other living thread has it.
   * @param identity The identity of the thread.
   */
  constructor(control: Control, slot: number, identity: bigint) {
    const { words, longs } = control;
    this.words = words;
    this.#line = (1 + slot) * LINE_WORDS;
    // What a dead thread of the same slot left goes first: it must not be taken for ours.
    Atomics.store(words, this.#line, 0);
    Atomics.store(longs, (1 + slot) * LINE_LONGS + IDENTITY_LONG, identity);
    raise(words, TOP, slot + 1);
  }

  /**
   * Begins a read of the newest version. Reads may nest; each is ended by {@linkcode leave}.
   *
   * Lock-free: it repeats when a version was published since `atLeast`, or this copy's word is late.
   *
   * @param atLeast A version that this thread has seen on any copy.
   * @returns The version, which stays on side `version & 1` until the read ends.
   */
  enter(atLeast: number): number {
    const { words } = this;
    for (let version = atLeast;;) {
      const side = version & 1;
      const held = this.#held | (1 << side);
      // A side this thread holds already cannot have been written since.
      const isHeld = held === this.#held;
      if (!isHeld) Atomics.store(words, this.#line, held);
      const newest = isHeld ? loadShared(words, VERSION) : loadFollowing(words, VERSION);
      if (newest === version) {
        this.#held = held;
        (this.#depth[side] as number)++;
        return version;
      }
      if (((version - newest) | 0) === 1) {
        // Seen elsewhere, so it is complete everywhere, here too: only this copy's word is late, and never by more.
        Atomics.compareExchange(words, VERSION, newest, version);
      } else {
        // The next announcement replaces this one, because that version's side is not held either.
        version = newest;
      }
    }
  }

  /**
   * Ends a read.
   *
   * @param side The side it was on.
   */
  leave(side: number): void {
    const depth = (this.#depth[side] as number) - 1;
    this.#depth[side] = depth;
    if (depth > 0) return;
    this.#held &= ~(1 << side);
    if (this.words.length > 0) Atomics.store(this.words, this.#line, this.#held);
  }

  /** Ends all reads, because the memory goes away. */
  close(): void {
    this.#held = 0;
    if (this.words.length === 0) return;
    Atomics.store(this.words, this.#line, 0);
    this.words = this.words.subarray(0, 0);
  }
}

/** A reader in the writer's way. */
export interface Blocker {
  /** Index of the copy. */
  readonly copy: number;
  /** The thread's slot. */
  readonly slot: number;
  /** The thread's identity. */
  readonly identity: bigint;
}

/** One thread's way to write all copies. Only that thread uses it. */
export class Writer {
  readonly #copies: readonly Control[];
  readonly #self: bigint;
  readonly #alive: (identity: bigint) => boolean;

  /**
   * Prepares.
   *
   * @param copies All copies, in the same order in every thread.
   * @param self The identity of this thread; not 0.
   * @param alive Whether a thread can still run. Once false for an identity, false forever.
   */
  constructor(copies: readonly Control[], self: bigint, alive: (identity: bigint) => boolean) {
    this.#copies = copies;
    this.#self = self;
    this.#alive = alive;
  }

  /**
   * Becomes the one that writes; takes over from one that died.
   *
   * @returns 0 when it did, else the identity of the thread that writes, which may be this one.
   */
  tryLock(): bigint {
    const { longs } = this.#copies[0] as Control;
    for (;;) {
      const owner = Atomics.compareExchange(longs, OWNER_LONG, 0n, this.#self);
      if (owner === 0n) return 0n;
      if (owner === this.#self || this.#alive(owner)) return owner;
      // Identities do not come back, so this cannot hit another owner than the dead one.
      if (Atomics.compareExchange(longs, OWNER_LONG, owner, this.#self) === owner) return 0n;
    }
  }

  /** Lets others write. Nothing happens when this thread does not write, or the memory is gone. */
  unlock(): void {
    const { longs } = this.#copies[0] as Control;
    if (longs.length > 0) Atomics.compareExchange(longs, OWNER_LONG, this.#self, 0n);
  }

  /**
   * Ends what a writer that died while it published had begun. While locked.
   *
   * @returns The newest version, now the newest on every copy.
   */
  settle(): number {
    let newest = (this.#copies[0] as Control).version;
    for (const { version } of this.#copies) if (((version - newest) | 0) > 0) newest = version;
    // On one copy means complete on all: nothing is published before everything is written.
    for (const copy of this.#copies) if (copy.version !== newest) copy.publish(newest);
    return newest;
  }

  /**
   * Looks for a living thread that reads a side. While locked, and for the side that is not current: then nobody can
   * begin to, so that a side once found free stays free.
   *
   * Cost: one load for every thread slot of every copy.
   *
   * @param side The side.
   * @returns One such thread, if there is any.
   */
  blocker(side: number): Blocker | undefined {
    const bit = 1 << side;
    for (const [copy, { words, longs, readers }] of this.#copies.entries()) {
      const top = Math.min(Atomics.load(words, TOP), readers);
      for (let slot = 0; slot < top; slot++) {
        if ((Atomics.load(words, (1 + slot) * LINE_WORDS) & bit) === 0) continue;
        const identity = Atomics.load(longs, (1 + slot) * LINE_LONGS + IDENTITY_LONG);
        if (identity === this.#self || this.#alive(identity)) return { copy, slot, identity };
      }
    }
    return undefined;
  }

  /**
   * Makes a version the newest on every copy. While locked, and when its side is complete on all of them.
   *
   * @param version The version.
   */
  publish(version: number): void {
    for (const copy of this.#copies) copy.publish(version);
  }
}
