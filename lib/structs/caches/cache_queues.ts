/**
 * What goes and what stays: the queues of a shard, for the thread that has the shard to itself and has said that it writes.
 *
 * S3-FIFO. A new entry goes into the small queue. When the small queue is full its oldest entry has been read meanwhile, and
 * goes on to the main queue; or it has not, and goes, and a ghost of it remains: 16 bits of its hash and the time. A key
 * that comes back while its ghost is young goes to the main queue at once. The oldest entry of the main queue goes, unless
 * it was read: then it is put in again, with a frequency that is less by one. What is read once, as by a scan, so passes
 * through a tenth of the memory and leaves the rest alone.
 *
 * What differs from the paper: while the main queue has room, everything goes on to it, and it has room where its oldest
 * entries are out or their time is over; and a write moves at most {@linkcode MAX_MOVES} entries within the main queue, so
 * that it takes a bounded time.
 *
 * An entry of the main queue can always be put in again. Without it, its own granules are free. The ring's head is either
 * not behind it, and the entry moves there, over its own words if need be; or behind it, and then what is free begins at
 * the head, goes on at the ring's beginning, and ends with the entry's own granules: it fits at the head, or at the
 * beginning, as it is no longer than from there to its own end.
 *
 * What is in memory may be nonsense, as any thread can write to it. Sizes and places are compared with the ring's before
 * they are used; who finds nonsense says so, and the shard is emptied.
 *
 * "FIFO Queues Are All You Need for Cache Eviction", Yang, Zhang, Qiu, Yue and Rashmi, SOSP 2023.
 *
 * @module
 */
import {
  BUCKET_WORDS,
  BUCKETS_AT,
  ENTRIES,
  EVICTIONS,
  EXPIRATIONS,
  EXPIRY_LOW,
  EXPIRY_SHIFT,
  GHOST_WAYS,
  GHOSTS,
  GRANULE_BYTES,
  GRANULE_WORDS,
  GRANULES,
  granulesOf,
  HASH,
  KEY_BYTES,
  MAX_KEY_BYTES,
  PLACES,
  RESETS,
  type ShardLayout,
  SKIP,
  TAIL,
  TO_MAIN,
  USED,
  VALUE_BYTES,
  WRITES,
} from "./cache_table.ts";

/** What a write moves at most within the main queue. */
const MAX_MOVES = 32;
/** What a look for room in the main queue passes at most. */
const MAX_PASSES = 8;
/** An entry that was read so often goes on to the main queue. */
const GOES_ON = 1;
/** Of so many words and more, the engine's own copy is faster than a loop. */
const LONG_COPY = 64;
/** In place of a granule: there is nonsense in the shard. */
const NONSENSE: number = -1;

/** What has been counted. */
export interface ShardCounts {
  entries: number;
  bytes: number;
  writes: number;
  evictions: number;
  expirations: number;
  resets: number;
}

/** The queues of a part's shards. */
export class Queues {
  readonly #words: Int32Array;
  readonly #layout: ShardLayout;
  readonly #now: () => number;
  readonly #placeMask: number;
  /** The time is kept in coarse units, so that 16 bits are enough. */
  readonly #ghostShift: number;
  #moves = 0;

  /**
   * @param words The part's words.
   * @param layout Where everything is.
   * @param now The time, as expiries have it.
   */
  constructor(words: Int32Array, layout: ShardLayout, now: () => number) {
    this.#words = words;
    this.#layout = layout;
    this.#now = now;
    this.#placeMask = -1 >>> Math.clz32(layout.small + layout.main);
    this.#ghostShift = Math.max(0, 31 - Math.clz32(layout.ghosts) - 8);
  }

  /**
   * Makes room.
   *
   * @param base The shard.
   * @param toMain Into which queue.
   * @param need How many granules: no more than the queue has.
   * @returns The first granule; {@linkcode NONSENSE}.
   */
  append(base: number, toMain: boolean, need: number): number {
    this.#moves = 0;
    return this.#append(base, toMain, need);
  }

  /**
   * Whether the words of the queues can be right.
   *
   * @param base The shard.
   * @returns Whether they can.
   */
  isSound(base: number): boolean {
    const words = this.#words;
    const { small, main } = this.#layout;
    return isIn(words[base + TAIL] as number, small - 1) &&
      isIn(words[base + USED] as number, small) &&
      isIn(words[base + TO_MAIN + TAIL] as number, main - 1) &&
      isIn(words[base + TO_MAIN + USED] as number, main);
  }

  /**
   * A place for a key in its bucket; an entry goes if there is none.
   *
   * @param bucket The bucket.
   * @param base The shard.
   * @returns The place's number, from 1.
   */
  freePlace(bucket: number, base: number): number {
    const words = this.#words;
    let least = 1;
    let leastRank = Infinity;
    for (let place = 1; place <= PLACES; place++) {
      const word = words[bucket + place] as number;
      if (word === 0) return place;
      // Of those that were read as often, one of the small queue.
      const isMain = (word & this.#placeMask) > this.#layout.small;
      const rank = 2 * this.frequency(bucket, place) + Number(isMain);
      if (rank >= leastRank) continue;
      leastRank = rank;
      least = place;
    }
    this.count(base + EVICTIONS);
    this.free(base, bucket, least);
    return least;
  }

  /**
   * Frees a place: its entry does not count any more.
   *
   * @param base The shard.
   * @param bucket The bucket.
   * @param place The place's number.
   */
  free(base: number, bucket: number, place: number): void {
    const words = this.#words;
    const { dataAt, small, main } = this.#layout;
    const granule = ((words[bucket + place] as number) & this.#placeMask) - 1;
    words[bucket + place] = 0;
    if (granule < 0 || granule >= small + main) return;
    const at = base + dataAt + granule * GRANULE_WORDS;
    const keyBytes = (words[at + KEY_BYTES] as number) & MAX_KEY_BYTES;
    words[base + ENTRIES] = (words[base + ENTRIES] as number) - 1;
    words[base + GRANULES] = (words[base + GRANULES] as number) -
      granulesOf(keyBytes, words[at + VALUE_BYTES] as number);
  }

  /**
   * How often a place's entry was read, as far as it counts.
   *
   * @param bucket The bucket.
   * @param place The place's number.
   * @returns 0 to 3.
   */
  frequency(bucket: number, place: number): number {
    return ((this.#words[bucket] as number) >>> (2 * (place - 1))) & 3;
  }

  /**
   * Sets how often a place's entry was read. Readers may write to the same word meanwhile: then some frequency is off.
   *
   * @param bucket The bucket.
   * @param place The place's number.
   * @param frequency 0 to 3.
   */
  setFrequency(bucket: number, place: number, frequency: number): void {
    const shift = 2 * (place - 1);
    const word = this.#words[bucket] as number;
    this.#words[bucket] = (word & ~(3 << shift)) | (frequency << shift);
  }

  /**
   * Takes a hash's ghost, if it is there and young.
   *
   * @param base The shard.
   * @param hash The hash.
   * @returns Whether it was.
   */
  takeGhost(base: number, hash: number): boolean {
    const words = this.#words;
    const at = this.#ghostsOf(base, hash);
    const time = (words[base + GHOSTS] as number) >>> this.#ghostShift;
    const oldest = (words[base + ENTRIES] as number) >>> this.#ghostShift;
    for (let way = 0; way < GHOST_WAYS; way++) {
      const ghost = words[at + way] as number;
      if (ghost >>> 16 !== printOf(hash)) continue;
      words[at + way] = 0;
      return ((time - ghost) & 0xffff) <= oldest;
    }
    return false;
  }

  #addGhost(base: number, hash: number): void {
    const words = this.#words;
    const at = this.#ghostsOf(base, hash);
    const count = ((words[base + GHOSTS] as number) + 1) | 0;
    words[base + GHOSTS] = count;
    const time = count >>> this.#ghostShift;
    let oldest = 0;
    let age = -1;
    for (let way = 0; way < GHOST_WAYS; way++) {
      const ghost = words[at + way] as number;
      const itsAge = ghost === 0 ? 0x1_0000 : (time - ghost) & 0xffff;
      if (itsAge <= age) continue;
      age = itsAge;
      oldest = way;
    }
    words[at + oldest] = (printOf(hash) << 16) | (time & 0xffff);
  }

  #ghostsOf(base: number, hash: number): number {
    const { ghostsAt, ghosts } = this.#layout;
    return base + ghostsAt + (hash & (ghosts / GHOST_WAYS - 1)) * GHOST_WAYS;
  }

  #append(base: number, toMain: boolean, need: number): number {
    const words = this.#words;
    const { small, main, dataAt } = this.#layout;
    const size = toMain ? main : small;
    const start = toMain ? small : 0;
    const queue = base + (toMain ? TO_MAIN : 0);
    // Whatever goes frees a granule or is moved, and few are moved.
    for (let left = size + MAX_MOVES; left >= 0; left--) {
      const used = words[queue + USED] as number;
      if (used === 0) words[queue + TAIL] = 0;
      const head = ((words[queue + TAIL] as number) + used) % size;
      const skipped = head + need > size ? size - head : 0;
      if (used + skipped + need > size) {
        if (!(toMain ? this.#shortenMain(base) : this.#shortenSmall(base))) return NONSENSE;
        continue;
      }
      if (skipped > 0) {
        words[base + dataAt + (start + head) * GRANULE_WORDS + VALUE_BYTES] = SKIP;
      }
      words[queue + USED] = used + skipped + need;
      return skipped > 0 ? start : start + head;
    }
    return NONSENSE;
  }

  /** Whether the main queue has room for something, when at most a few go from it whose time is over, or which are out. */
  #mainHasRoom(base: number, need: number): boolean {
    const words = this.#words;
    const { small, main, dataAt } = this.#layout;
    const queue = base + TO_MAIN;
    for (let left = MAX_PASSES; left >= 0; left--) {
      const used = words[queue + USED] as number;
      const tail = words[queue + TAIL] as number;
      const head = (tail + used) % main;
      if (used === 0 || used + need + (head + need > main ? main - head : 0) <= main) return true;
      const at = base + dataAt + (small + tail) * GRANULE_WORDS;
      const size = this.#sizeAt(at, tail, main, used);
      if (size < 0) this.#skip(queue, main);
      if (size <= 0) continue;
      const bucket = this.bucketOf(base, words[at + HASH] as number);
      const place = this.#placeOf(bucket, small + tail + 1);
      if (place !== 0 && !this.#expires(base, bucket, place, at)) return false;
      this.#pass(queue, main, size);
    }
    return false;
  }

  /** The oldest entry of the small queue goes on, or goes. */
  #shortenSmall(base: number): boolean {
    const words = this.#words;
    const { dataAt, small } = this.#layout;
    const tail = words[base + TAIL] as number;
    const at = base + dataAt + tail * GRANULE_WORDS;
    const size = this.#sizeAt(at, tail, small, words[base + USED] as number);
    if (size <= 0) return size < 0 && this.#skip(base, small);
    const hash = words[at + HASH] as number;
    const bucket = this.bucketOf(base, hash);
    const place = this.#placeOf(bucket, tail + 1);
    if (place !== 0 && !this.#expires(base, bucket, place, at)) {
      const isRead = this.frequency(bucket, place) >= GOES_ON;
      if (isRead || this.#mainHasRoom(base, size)) {
        const to = this.#append(base, true, size);
        if (to === NONSENSE) return false;
        this.#move(base, bucket, place, tail, to, size);
        this.setFrequency(bucket, place, 0);
      } else {
        this.count(base + EVICTIONS);
        this.free(base, bucket, place);
        this.#addGhost(base, hash);
      }
    }
    this.#pass(base, small, size);
    return true;
  }

  /** The oldest entry of the main queue is put in again, or goes. */
  #shortenMain(base: number): boolean {
    const words = this.#words;
    const { dataAt, small, main } = this.#layout;
    const queue = base + TO_MAIN;
    const tail = words[queue + TAIL] as number;
    const used = words[queue + USED] as number;
    const at = base + dataAt + (small + tail) * GRANULE_WORDS;
    const size = this.#sizeAt(at, tail, main, used);
    if (size <= 0) return size < 0 && this.#skip(queue, main);
    const bucket = this.bucketOf(base, words[at + HASH] as number);
    const place = this.#placeOf(bucket, small + tail + 1);
    this.#pass(queue, main, size);
    if (place === 0 || this.#expires(base, bucket, place, at)) return true;
    const frequency = this.frequency(bucket, place);
    if (frequency === 0 || this.#moves >= MAX_MOVES) {
      this.count(base + EVICTIONS);
      this.free(base, bucket, place);
      return true;
    }
    this.#moves++;
    this.setFrequency(bucket, place, frequency - 1);
    const head = (tail + used) % main;
    const skipped = head + size > main ? main - head : 0;
    const to = small + (skipped > 0 ? 0 : head);
    this.#move(base, bucket, place, small + tail, to, size);
    if (skipped > 0) {
      words[base + dataAt + (small + head) * GRANULE_WORDS + VALUE_BYTES] = SKIP;
    }
    words[queue + USED] = used + skipped;
    return true;
  }

  /** Granules of an entry; -1 where the rest of the ring is skipped; 0 if that cannot be. */
  #sizeAt(at: number, tail: number, ring: number, used: number): number {
    const words = this.#words;
    const valueBytes = words[at + VALUE_BYTES] as number;
    if (valueBytes === SKIP) return ring - tail <= used ? -1 : 0;
    if (valueBytes < 0) return 0;
    const size = granulesOf((words[at + KEY_BYTES] as number) & MAX_KEY_BYTES, valueBytes);
    return size <= used && tail + size <= ring ? size : 0;
  }

  /** The tail goes to the ring's beginning. */
  #skip(queue: number, ring: number): boolean {
    this.#pass(queue, ring, ring - (this.#words[queue + TAIL] as number));
    return true;
  }

  /** The tail passes granules. */
  #pass(queue: number, ring: number, granules: number): void {
    const words = this.#words;
    words[queue + TAIL] = ((words[queue + TAIL] as number) + granules) % ring;
    words[queue + USED] = (words[queue + USED] as number) - granules;
  }

  /** Copies an entry, and has its place lead there. */
  #move(
    base: number,
    bucket: number,
    place: number,
    from: number,
    to: number,
    size: number,
  ): void {
    const words = this.#words;
    const mask = this.#placeMask;
    const source = base + this.#layout.dataAt + from * GRANULE_WORDS;
    const target = base + this.#layout.dataAt + to * GRANULE_WORDS;
    const count = size * GRANULE_WORDS;
    if (count >= LONG_COPY) words.copyWithin(target, source, source + count);
    else if (target !== source) {
      // Upwards: what it overwrites of itself, it has copied.
      for (let word = 0; word < count; word++) {
        words[target + word] = words[source + word] as number;
      }
    }
    words[bucket + place] = ((words[bucket + place] as number) & ~mask) | (to + 1);
  }

  /** Whether an entry's time is over: then it goes. */
  #expires(base: number, bucket: number, place: number, at: number): boolean {
    const expiry = this.expiryAt(at);
    if (expiry === 0 || expiry > this.#now()) return false;
    this.count(base + EXPIRATIONS);
    this.free(base, bucket, place);
    return true;
  }

  /**
   * When an entry's time is over.
   *
   * @param at Where the entry is.
   * @returns The time; 0: never.
   */
  expiryAt(at: number): number {
    const words = this.#words;
    return ((words[at + KEY_BYTES] as number) >>> EXPIRY_SHIFT) * 2 ** 32 +
      ((words[at + EXPIRY_LOW] as number) >>> 0);
  }

  /**
   * The bucket of a hash.
   *
   * @param base The shard.
   * @param hash The hash.
   * @returns Where it begins.
   */
  bucketOf(base: number, hash: number): number {
    return base + BUCKETS_AT + (hash & (this.#layout.buckets - 1)) * BUCKET_WORDS;
  }

  /** The number of the place that leads to a granule; 0: none does. */
  #placeOf(bucket: number, granule: number): number {
    const words = this.#words;
    for (let place = 1; place <= PLACES; place++) {
      if (((words[bucket + place] as number) & this.#placeMask) === granule) return place;
    }
    return 0;
  }

  /**
   * Adds one to a number of two words.
   *
   * @param at The lower half.
   */
  count(at: number): void {
    const words = this.#words;
    const low = ((words[at] as number) + 1) | 0;
    words[at] = low;
    if (low === 0) words[at + 1] = ((words[at + 1] as number) + 1) | 0;
  }

  /**
   * Adds up what was counted: for any thread.
   *
   * @param base The shard.
   * @param counts What is added to.
   */
  addCounts(base: number, counts: ShardCounts): void {
    const words = this.#words;
    counts.entries += Atomics.load(words, base + ENTRIES) >>> 0;
    counts.bytes += (Atomics.load(words, base + GRANULES) >>> 0) * GRANULE_BYTES;
    counts.resets += Atomics.load(words, base + RESETS) >>> 0;
    counts.writes += this.#counted(base + WRITES);
    counts.evictions += this.#counted(base + EVICTIONS);
    counts.expirations += this.#counted(base + EXPIRATIONS);
  }

  #counted(at: number): number {
    const words = this.#words;
    // Its upper half changes once in 2^32 times: two looks are enough.
    const high = Atomics.load(words, at + 1);
    const low = Atomics.load(words, at) >>> 0;
    const after = Atomics.load(words, at + 1);
    return (after >>> 0) * 2 ** 32 + (after === high ? low : 0);
  }
}

function isIn(value: number, most: number): boolean {
  return value >= 0 && value <= most;
}

/** 16 bits of a hash, which are not 0. */
function printOf(hash: number): number {
  return (Math.imul(hash, 0x85ebca6b) >>> 16) | 1;
}
