/**
 * The entries of an ordered map as JavaScript has them, for one thread.
 *
 * No function of a caller runs while the map is locked: it could end the map's memory, and the lock would stay.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { synchronous } from "../../base/synchronous.ts";
import { Attachment } from "../../shared/attachment.ts";
import type { Region } from "../../shared/region.ts";
import { outlast } from "../naps.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { clearKeys } from "../maps/clear_keys.ts";
import { type Codec, codecOf } from "../maps/codecs.ts";
import { mapSettingsOf } from "../maps/map_settings.ts";
import { checkAddend, sumOf } from "../maps/sums.ts";
import { OrderedCore, type Relation } from "./ordered_core.ts";
import { OrderedKeys } from "./ordered_keys.ts";
import { type Scan, Scanner, scanOf } from "./ordered_range.ts";
import type { OrderedMapRange } from "./ordered_types.ts";
import { layoutOf } from "./ordered_table.ts";
import { FULL } from "./ordered_tree.ts";

const READ = "read an ordered map";
const WRITE = "write to an ordered map";

/** An entry, as callers get it. */
export type Entry = [key: unknown, value: unknown];

/** What an `OrderedMap` does. */
export class OrderedEntries {
  readonly attached: Attachment;
  readonly #core: OrderedCore;
  readonly #me: ThreadWaiter;
  readonly #keys: OrderedKeys;
  readonly #values: Codec;
  readonly #valueKind: number;
  readonly #keyWords: number;
  readonly #entryWords: number;
  readonly #leafEntries: number;
  /** One key, two values, and one entry, as words. */
  readonly #key: Int32Array;
  readonly #value: Int32Array;
  readonly #found: Int32Array;
  readonly #entry: Int32Array;
  /** Whether a caller's function decides on a value. */
  #isUpdating = false;
  /** Whether the key had a value at the last exchange, which was found then. */
  #had = false;

  /** @param region The map's memory. */
  constructor(region: Region) {
    const { key, value, shape } = mapSettingsOf(region.option);
    const { keyWords, valueWords } = shape;
    const layout = layoutOf(shape);
    this.attached = new Attachment(region);
    this.#core = new OrderedCore(region.words, layout);
    this.#me = this.attached.me;
    this.#keys = new OrderedKeys(key, keyWords);
    this.#values = codecOf(value, "the value");
    this.#valueKind = value.kind;
    this.#keyWords = keyWords;
    this.#entryWords = keyWords + valueWords;
    this.#leafEntries = layout.leafEntries;
    this.#key = new Int32Array(keyWords);
    this.#value = new Int32Array(valueWords);
    this.#found = new Int32Array(valueWords);
    this.#entry = new Int32Array(this.#entryWords);
  }

  size(): number {
    this.attached.check("read");
    return this.#core.size();
  }

  /** Whether a key has a value, which {@linkcode OrderedEntries.value} then returns. */
  has(key: unknown): boolean {
    this.#keys.write(key, this.#key, READ);
    return this.#has();
  }

  /** The same of the key that is in words. */
  #has(): boolean {
    try {
      return this.#core.get(this.#key, this.#found);
    } catch (error) {
      this.attached.check("read");
      throw error;
    }
  }

  value(): unknown {
    return this.#values.read(this.#found, 0);
  }

  /** The nearest entry to a key. */
  near(relation: Relation, key: unknown): Entry | undefined {
    this.#keys.write(key, this.#key, READ);
    return this.end(relation);
  }

  /** The first entry, or the last one. */
  end(relation: Relation): Entry | undefined {
    this.attached.check("read");
    const entry = this.#entry;
    return this.#core.collect(relation, this.#key, entry, 1) > 0
      ? this.#entryAt(entry, 0)
      : undefined;
  }

  /** Checks a value that may not be written. */
  checkValue(value: unknown): void {
    this.#values.write(value, this.#value, 0, WRITE);
  }

  set(key: unknown, value: unknown): void {
    this.#values.write(value, this.#value, 0, WRITE);
    this.#keys.write(key, this.#key, WRITE);
    this.#lock();
    this.#assign();
  }

  remove(key: unknown): boolean {
    this.#keys.write(key, this.#key, WRITE);
    this.#lock();
    const had = this.#core.remove(this.#key);
    this.#core.unlock();
    return had;
  }

  /** Takes all keys out that are there when it begins. */
  clear(): void {
    const keys = this.keys(this.scan(undefined));
    clearKeys(keys, (key) => void this.remove(key), "clear an ordered map");
  }

  /** Takes the first entry out, or the last one. */
  pop(relation: Relation): Entry | undefined {
    const entry = this.#entry;
    this.#lock();
    const has = this.#core.collect(relation, this.#key, entry, 1) > 0;
    if (has) {
      this.#key.set(entry.subarray(0, this.#keyWords));
      this.#core.remove(this.#key);
    }
    this.#core.unlock();
    return has ? this.#entryAt(entry, 0) : undefined;
  }

  /** Gives a key another value, undefined: none, that a function makes of its present one. */
  update(key: unknown, change: (value: unknown) => unknown): unknown {
    const name = new Int32Array(this.#keyWords);
    this.#keys.write(key, name, WRITE);
    this.#checkWrite();
    for (;;) {
      // What `change` called may have used the words, and it may have changed the key that was given.
      this.#key.set(name);
      const before = this.#has() ? this.#found.slice() : undefined;
      this.#isUpdating = true;
      let next: unknown;
      try {
        const value = before === undefined ? undefined : this.#values.read(before, 0);
        next = synchronous(change(value), WRITE, "Give a function that returns the value.");
      } finally {
        this.#isUpdating = false;
      }
      if (next === undefined && before === undefined) return undefined;
      if (next !== undefined) this.#values.write(next, this.#value, 0, WRITE);
      this.#key.set(name);
      if (this.#exchange(before, next !== undefined)) return next;
    }
  }

  /** Adds to a number. Returns the sum. */
  add(key: unknown, n: unknown): number {
    const kind = this.#valueKind;
    const addend = checkAddend(kind, n, WRITE);
    this.#keys.write(key, this.#key, WRITE);
    this.#lock();
    const had = this.#core.get(this.#key, this.#found);
    const result = sumOf(kind, had ? this.value() as number : 0, addend);
    this.#values.write(result, this.#value, 0, WRITE);
    this.#assign();
    return result;
  }

  /** Gives a key another value, undefined: none, if it has the expected one. Returns the one that it had. */
  exchange(key: unknown, expected: unknown, replacement: unknown): unknown {
    let wanted: Int32Array | undefined;
    if (expected !== undefined) {
      wanted = new Int32Array(this.#value.length);
      this.#values.write(expected, wanted, 0, WRITE);
    }
    if (replacement !== undefined) this.#values.write(replacement, this.#value, 0, WRITE);
    this.#keys.write(key, this.#key, WRITE);
    const isDone = this.#exchange(wanted, replacement !== undefined);
    return (isDone ? wanted !== undefined : this.#had) ? this.value() : undefined;
  }

  /** What a range says, checked. */
  scan(range: OrderedMapRange<unknown> | undefined): Scan {
    this.attached.check("read");
    return scanOf(range, this.#keys, this.#keyWords, READ);
  }

  /** The entries of a scan. */
  *entries(scan: Scan): Generator<Entry, void, undefined> {
    const scanner = this.#scanner(scan);
    for (let at = this.#next(scanner); at >= 0; at = this.#next(scanner)) {
      yield this.#entryAt(scanner.words, at);
    }
  }

  /** Their keys. */
  *keys(scan: Scan): Generator<unknown, void, undefined> {
    const scanner = this.#scanner(scan);
    for (let at = this.#next(scanner); at >= 0; at = this.#next(scanner)) {
      yield this.#keys.read(scanner.words, at);
    }
  }

  /** Their values. */
  *values(scan: Scan): Generator<unknown, void, undefined> {
    const scanner = this.#scanner(scan);
    for (let at = this.#next(scanner); at >= 0; at = this.#next(scanner)) {
      yield this.#values.read(scanner.words, at + this.#keyWords);
    }
  }

  #scanner(scan: Scan): Scanner {
    return new Scanner(scan, {
      core: this.#core,
      keyWords: this.#keyWords,
      entryWords: this.#entryWords,
      leafEntries: this.#leafEntries,
    });
  }

  #next(scanner: Scanner): number {
    if (scanner.looks) this.attached.check("read");
    return scanner.next();
  }

  #entryAt(words: Int32Array, at: number): Entry {
    return [this.#keys.read(words, at), this.#values.read(words, at + this.#keyWords)];
  }

  #lock(): void {
    const core = this.#core;
    const me = this.#me;
    this.#checkWrite();
    // It is not for long: the main thread naps, too.
    if (!core.lock(me)) outlast(core.wait(me), me, WRITE);
  }

  #checkWrite(): void {
    this.attached.check("write to");
    if (!this.#isUpdating) return;
    throw new NumaError("EDEADLK", WRITE, {
      why: "it is written to in the function of an update",
      fix: "Return the new value, and write to other keys afterwards.",
    });
  }

  /** Gives the key the value, both in words, and unlocks. */
  #assign(): void {
    const outcome = this.#core.assign(this.#key, this.#value);
    this.#core.unlock();
    if (outcome === FULL) {
      throw new NumaError("ENOMEM", WRITE, {
        why: "it has no room for another key",
        fix: "Create it with a greater capacity.",
      });
    }
  }

  /** Gives the key that is in words the value that is, or none, if it has the expected one. */
  #exchange(expected: Int32Array | undefined, hasNext: boolean): boolean {
    this.#lock();
    const found = this.#found;
    this.#had = this.#core.get(this.#key, found);
    const isSame = this.#had === (expected !== undefined) &&
      (expected === undefined || expected.every((word, index) => word === found[index]));
    if (isSame && hasNext) this.#assign();
    else {
      if (isSame && this.#had) this.#core.remove(this.#key);
      this.#core.unlock();
    }
    return isSame;
  }
}
