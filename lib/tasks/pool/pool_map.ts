/**
 * A task for each item of an iterable.
 *
 * @module
 */
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkFunction, checkSignal } from "../../base/options.ts";
import { MAX_TASKS } from "../core/task_names.ts";
import type { MapOptions, RunOptions } from "./task_types.ts";

const NAMES = ["near", "priority", "concurrency", "signal", "onProgress"];
/** Items on their way for each worker. */
const AHEAD = 16;

/** The items, taken one by one. */
class Items<Item> {
  readonly #later: AsyncIterator<Item> | undefined;
  readonly #iterator: Iterator<Item> | AsyncIterator<Item>;
  /** Those who wait for an item. */
  readonly #waiting = new Set<() => void>();
  /** How many there are, where the iterable has a length. */
  readonly total: number | undefined;

  constructor(items: Iterable<Item> | AsyncIterable<Item>, action: string) {
    const source = Object(items) as Partial<Iterable<Item> & AsyncIterable<Item>> & {
      length?: unknown;
      size?: unknown;
    };
    const later = source[Symbol.asyncIterator];
    this.#later = typeof later === "function" ? later.call(source) : undefined;
    const iterator = this.#later ?? this.#begin(source, action);
    if (typeof iterator?.next !== "function") {
      throw new NumaError("EINVAL", action, {
        why: `the items are ${show(items)}`,
        fix: "Give an array or something else that can be iterated over.",
      });
    }
    this.#iterator = iterator;
    const { length = source.size } = source;
    this.total = Number.isSafeInteger(length) ? length as number : undefined;
  }

  #begin(source: Partial<Iterable<Item>>, action: string): Iterator<Item> | undefined {
    try {
      const begin = source[Symbol.iterator];
      return typeof begin === "function" ? begin.call(source) : undefined;
    } catch (cause) {
      // What others throw is the caller's own.
      if (!ArrayBuffer.isView(source)) throw cause;
      throw new NumaError("EINVAL", action, {
        why: "the items are an array whose buffer was transferred away",
        fix: "Give one whose buffer is still there.",
        cause,
      });
    }
  }

  /** The next one; undefined when it is not waited for any more. */
  next(): IteratorResult<Item> | Promise<IteratorResult<Item> | undefined> {
    const later = this.#later;
    if (later === undefined) return this.#iterator.next() as IteratorResult<Item>;
    return new Promise((resolve, reject) => {
      const end = (): void => resolve(undefined);
      this.#waiting.add(end);
      const taken = Promise.resolve(later.next()).finally(() => this.#waiting.delete(end));
      taken.then(resolve, reject);
    });
  }

  /** No more of them are taken: nobody waits for one any more, and whatever gives them is told. */
  readonly close = (): void => {
    for (const end of this.#waiting) end();
    // What it says to that is not what has failed.
    void Promise.resolve().then(() => this.#iterator.return?.()).catch(() => {});
  };
}

/**
 * Does them.
 *
 * @param run Does one.
 * @param items The items.
 * @param given The options.
 * @param workers How many workers there are.
 * @param action What was asked, as it follows "Cannot".
 * @returns The results, in the order of the items.
 */
export async function mapItems<Item, Result>(
  run: (item: Item, options: RunOptions | undefined) => Promise<Result>,
  items: Iterable<Item> | AsyncIterable<Item>,
  given: MapOptions,
  { workers, action }: { workers: number; action: string },
): Promise<Result[]> {
  checkOptions(given, `{ ${NAMES.join(", ")} }`, action);
  const { concurrency = AHEAD * workers, signal: asked, onProgress, ...rest } = given;
  checkOptionNames(rest, NAMES, action);
  checkFunction(onProgress, "onProgress", action);
  checkInteger(concurrency, "concurrency", 1, 2 ** 31 - 1, action);
  const signal = checkSignal(asked, action);
  signal?.throwIfAborted();
  const source = new Items(items, action);
  const { total } = source;
  const some: RunOptions = { ...rest, ...(signal !== undefined && { signal }) };
  const options = Object.keys(some).length === 0 ? undefined : some;
  const results: Result[] = [];
  let next = 0;
  let done = 0;
  let isOver = false;
  let failure: { readonly error: unknown } | undefined;
  const lane = async (): Promise<void> => {
    while (!isOver) {
      const taken = source.next();
      const step = taken instanceof Promise ? await taken : taken;
      signal?.throwIfAborted();
      // Without an end, as it has no `done`.
      if (step !== undefined && Object(step) !== step) {
        throw new NumaError("EINVAL", action, {
          why: `the iterator of the items returned ${show(step)}`,
          fix: "Let its next() return { value, done }.",
        });
      }
      if (step === undefined || step.done === true) {
        isOver = true;
        return;
      }
      const index = next++;
      results[index] = await run(step.value, options);
      onProgress?.({ done: ++done, total });
    }
  };
  // One at least, as a length may be about something else; and no more than workers are handed.
  const count = Math.max(1, Math.min(concurrency, total ?? MAX_TASKS, MAX_TASKS));
  const lanes = Array.from({ length: count });
  signal?.addEventListener("abort", source.close);
  await Promise.all(lanes.map(async () => {
    try {
      await lane();
    } catch (error) {
      failure ??= { error };
      if (!isOver) source.close();
      isOver = true;
    }
  }));
  signal?.removeEventListener("abort", source.close);
  if (failure !== undefined) throw failure.error;
  return results;
}
