/**
 * Changes of a map's values that depend on what they were.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { synchronous } from "../../base/synchronous.ts";
import type { MapParts } from "./map_parts.ts";
import { type MapWriter, UNCHANGED, WRITE } from "./map_writer.ts";
import { checkAddend, sumOf } from "./sums.ts";

/** Changes of one thread. */
export class MapChanges {
  readonly #parts: MapParts;
  readonly #writer: MapWriter;
  /** A value that a caller gave, as words. */
  readonly #given: Int32Array;

  /**
   * @param parts The map.
   * @param writer What writes to it.
   */
  constructor(parts: MapParts, writer: MapWriter) {
    this.#parts = parts;
    this.#writer = writer;
    this.#given = new Int32Array(parts.shape.valueWords);
  }

  /** As `HashMap.update`. */
  update(key: unknown, change: unknown): unknown {
    if (typeof change !== "function") {
      throw new NumaError("EINVAL", WRITE, {
        why: `the function is ${show(change)}`,
        fix: "Give a function of the value.",
      });
    }
    return this.#writer.change(key, (had) => {
      const value = had ? this.#read() : undefined;
      return synchronous(change(value), WRITE, "Give a function that returns the value.");
    });
  }

  /** As `HashMap.add`. */
  add(key: unknown, n: unknown): number {
    const { kind } = this.#parts.settings.value;
    const addend = checkAddend(kind, n, WRITE);
    const sum = this.#writer.change(
      key,
      (had) => sumOf(kind, had ? this.#read() as number : 0, addend),
    );
    return sum as number;
  }

  /** As `HashMap.getOrInsert`, for a key that had none a moment ago. */
  insert(key: unknown, value: unknown): unknown {
    let result = value;
    this.#writer.change(key, (had) => {
      if (!had) return value;
      result = this.#read();
      return UNCHANGED;
    });
    return result;
  }

  /** As `HashMap.compareExchange`. */
  exchange(key: unknown, expected: unknown, replacement: unknown): unknown {
    if (replacement !== undefined) this.check(replacement);
    if (expected !== undefined) this.check(expected);
    let before: unknown;
    this.#writer.change(key, (had) => {
      before = had ? this.#read() : undefined;
      const isSame = had === (expected !== undefined) && (!had || this.#isFound(expected));
      return isSame ? replacement : UNCHANGED;
    });
    return before;
  }

  /**
   * Checks a value before anything is locked.
   *
   * @param value What a caller gave.
   * @throws {NumaError} `EINVAL`.
   */
  check(value: unknown): void {
    this.#parts.shape.values.write(value, this.#given, 0, WRITE);
  }

  /** The value that was read. */
  #read(): unknown {
    return this.#parts.shape.values.read(this.#writer.value, 0);
  }

  /** Whether the value that was read is an expected one, which was checked last. */
  #isFound(expected: unknown): boolean {
    const { far, isFarValue, shape } = this.#parts;
    const given = this.#given;
    if (!isFarValue || far === undefined) {
      return this.#writer.value.every((word, index) => word === given[index]);
    }
    // Its bytes are where others may have been written meanwhile.
    shape.values.write(expected, given, 0, WRITE);
    return far.value.equals(far.foundValue);
  }
}
