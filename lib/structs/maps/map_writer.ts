/**
 * What one thread does to the values of a map: under the lock of a key's bucket.
 *
 * @module
 */
import { isUint8Array, lengthOf, partOf } from "../../base/brand.ts";
import { NumaError } from "../../base/error.ts";
import type { Attachment } from "../../shared/attachment.ts";
import type { CounterCore } from "../../sync/counters/counter_core.ts";
import { outlast } from "../naps.ts";
import { FarCore, GAVE_UP, type NO_BLOCKS } from "./far/far_core.ts";
import type { ListShape } from "./lists.ts";
import { ADDED, FULL, REPLACED } from "./map_chains.ts";
import type { MapCore } from "./map_core.ts";

/** What was asked. */
export const WRITE = "write to a hash map";
/** What was asked of a reader. */
export const READ = "read a hash map";
/** What becomes of a value that stays as it is. */
export const UNCHANGED: unique symbol = /* @__PURE__ */ Symbol("unchanged");

/** Writes of one thread. */
export class MapWriter {
  /** One key and one value, as words. */
  readonly key: Int32Array;
  readonly value: Int32Array;
  readonly #core: MapCore | FarCore;
  readonly #attached: Attachment;
  readonly #entries: CounterCore;
  readonly #shape: ListShape;
  /** Whether a caller's function runs while a bucket is locked. */
  #isChanging = false;
  /** Whether a sweep has found nothing, and the write is tried for the last time. */
  #isLast = false;

  /**
   * @param core The map.
   * @param attached Where it is.
   * @param entries Counts its entries.
   * @param shape What is known of its keys and values.
   */
  constructor(
    core: MapCore | FarCore,
    attached: Attachment,
    entries: CounterCore,
    shape: ListShape,
  ) {
    this.#core = core;
    this.#attached = attached;
    this.#entries = entries;
    this.#shape = shape;
    this.key = new Int32Array(shape.keyWords);
    this.value = new Int32Array(shape.valueWords);
  }

  /**
   * Locks the bucket of the key that is in words.
   *
   * @throws {NumaError} `EDEADLK` in the function of an update; `EBUSY`; `ETERMINATED`; `EDESTROYED`.
   */
  lock(): void {
    const core = this.#core;
    const { me, peer } = this.#attached;
    this.#attached.check("write to");
    if (this.#isChanging) {
      throw new NumaError("EDEADLK", WRITE, {
        why: "it is written to in the function of an update",
        fix: "Return the new value, and write to other keys afterwards.",
      });
    }
    // It is not for long: the main thread naps, too.
    if (!core.lock(peer, this.key)) outlast(core.wait(peer, this.key), me, WRITE);
  }

  /**
   * Locks the bucket of a key for a reader.
   *
   * @param key The key's words.
   * @throws {NumaError} `EBUSY`; `ETERMINATED`; `EDESTROYED`.
   */
  lockFor(key: Int32Array): void {
    const core = this.#core;
    const { me, peer } = this.#attached;
    this.#attached.check("read");
    if (this.#isChanging) {
      // Two threads could wait for each other.
      throw new NumaError("EBUSY", READ, {
        why:
          "others write to the bucket of that key all the time, and this thread has another locked",
        fix: "Read it before the update.",
      });
    }
    if (!core.lock(peer, key)) outlast(core.wait(peer, key), me, READ);
  }

  /**
   * Gives the key the value, both in words.
   *
   * @throws {NumaError} As {@linkcode MapWriter.lock}; `ENOMEM`.
   */
  put(): void {
    do this.lock(); while (!this.#assign());
  }

  /**
   * Puts in entries that are words, where all are in buckets.
   *
   * @param entries Their words.
   * @throws {NumaError} As {@linkcode MapWriter.put}.
   */
  fill(entries: Int32Array): void {
    const { keyWords, valueWords } = this.#shape;
    for (let at = 0; at < entries.length; at += keyWords + valueWords) {
      this.key.set(entries.subarray(at, at + keyWords));
      this.value.set(entries.subarray(at + keyWords, at + keyWords + valueWords));
      this.put();
    }
  }

  /**
   * Takes out the key that is in words, and unlocks.
   *
   * @returns Whether it had a value.
   */
  remove(): boolean {
    const had = this.#core.remove(this.key);
    this.#core.unlock();
    if (had) this.#entries.add(this.#attached.peer, -1);
    return had;
  }

  /**
   * Gives a key the value that a function decides on.
   *
   * @param key The key.
   * @param decide Gets whether the key has a value, which is in words then. Returns the new one; undefined: none.
   * @returns What it has returned.
   * @throws {NumaError} As `HashMap.set`. What `decide` throws.
   */
  change(key: unknown, decide: (had: boolean) => unknown): unknown {
    // The function may change the bytes of the one that was given.
    const own = isUint8Array(key) ? copyOf(key) : key;
    for (;;) {
      const next = this.#decide(own, decide);
      if (next === UNCHANGED) return next;
      if (next === undefined) this.remove();
      else if (!this.#assign()) continue;
      return next;
    }
  }

  /** Locks, and lets a function decide on the value, which is in words then. Unlocks where it stays as it is. */
  #decide(key: unknown, decide: (had: boolean) => unknown): unknown {
    const core = this.#core;
    const { keys, values } = this.#shape;
    keys.write(key, this.key, 0, WRITE);
    this.lock();
    let next: unknown = UNCHANGED;
    let isDecided = false;
    this.#isChanging = true;
    try {
      next = decide(core.read(this.key, this.value));
      if (next !== UNCHANGED && next !== undefined) values.write(next, this.value, 0, WRITE);
      // The function, and getters of what it returned, may have destroyed the arena, and used the words.
      this.#attached.check("write to");
      if (next === UNCHANGED) return next;
      keys.write(key, this.key, 0, WRITE);
      isDecided = true;
    } finally {
      this.#isChanging = false;
      if (!isDecided && core.holds()) core.unlock();
    }
    return next;
  }

  /**
   * Gives the key the value, both in words, and unlocks.
   *
   * @returns False if it has to be done again: blocks have been found for it.
   */
  #assign(): boolean {
    const core = this.#core;
    const { peer } = this.#attached;
    const outcome = core.assign(this.key, this.value);
    const isCrowded = outcome === ADDED && core.isCrowded();
    core.unlock();
    if (outcome !== REPLACED && outcome !== ADDED) return this.#findRoom(outcome);
    this.#isLast = false;
    if (outcome === ADDED) this.#entries.add(peer, 1);
    if (isCrowded) core.grow(peer);
    return true;
  }

  /** Sets free what ended threads have left, if that is what there is too little of. */
  #findRoom(outcome: typeof FULL | typeof NO_BLOCKS): false {
    const core = this.#core;
    if (outcome === FULL || !(core instanceof FarCore)) {
      throw new NumaError("ENOMEM", WRITE, {
        why: "it has no room for another key",
        fix: "Create it with a greater capacity.",
      });
    }
    const { me, peer } = this.#attached;
    const freed = outlast(core.sweep(peer), me, WRITE, (blocks) => blocks === GAVE_UP);
    // Another thread may have swept just before: then there is room, and nothing was left to find.
    const isLast = this.#isLast;
    this.#isLast = freed === 0 && !isLast;
    if (freed > 0 || !isLast) return false;
    throw new NumaError("ENOMEM", WRITE, {
      why: `its storage has no room for ${core.wanted} bytes more`,
      fix: "Create it with more storage.",
    });
  }
}

/** One whose buffer was transferred away has no bytes, and cannot be read. */
function copyOf(key: Uint8Array): Uint8Array {
  const length = lengthOf(key);
  return length === 0 ? new Uint8Array(0) : new Uint8Array(partOf(key, 0, length));
}
