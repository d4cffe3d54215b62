/**
 * A task for each item of an iterable.
 *
 * @module
 */
import { checkInteger, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { MAX_TASKS } from "../core/task_names.ts";
import type { MapOptions, RunOptions } from "./task_types.ts";

const NAMES = ["near", "priority", "concurrency", "signal", "onProgress"];
/** Items on their way for each worker. */
const AHEAD = 16;

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
  const { concurrency = AHEAD * workers, signal, onProgress, ...rest } = given;
  const other = Object.keys(rest).find((name) => !NAMES.includes(name));
  if (other !== undefined || (onProgress !== undefined && typeof onProgress !== "function")) {
    throw new NumaError("EINVAL", action, {
      why: other === undefined
        ? `onProgress is ${show(onProgress)}`
        : `there is no option ${show(other)}`,
      fix: `Give { ${NAMES.join(", ")} }.`,
    });
  }
  checkInteger(concurrency, "concurrency", 1, 2 ** 31 - 1, action);
  const source = Object(items) as Partial<Iterable<Item> & AsyncIterable<Item>> & {
    length?: unknown;
    size?: unknown;
  };
  const iterator = source[Symbol.asyncIterator]?.() ?? source[Symbol.iterator]?.();
  if (iterator === undefined) {
    throw new NumaError("EINVAL", action, {
      why: `the items are ${show(items)}`,
      fix: "Give an array or something else that can be iterated over.",
    });
  }
  const { length = source.size } = source;
  const of = Number.isSafeInteger(length) ? length as number : undefined;
  const some: RunOptions = { ...rest, ...(signal !== undefined && { signal }) };
  const options = Object.keys(some).length === 0 ? undefined : some;
  const results: Result[] = [];
  let next = 0;
  let done = 0;
  let isOver = false;
  const lane = async (): Promise<void> => {
    while (!isOver) {
      let step = iterator.next();
      if (step instanceof Promise) step = await step;
      const { done: isLast, value } = step as IteratorResult<Item>;
      if (isLast === true) {
        isOver = true;
        return;
      }
      const index = next++;
      results[index] = await run(value, options);
      onProgress?.({ done: ++done, of });
    }
  };
  // One at least, as a length may be about something else; and no more than workers are handed.
  const count = Math.max(1, Math.min(concurrency, of ?? MAX_TASKS, MAX_TASKS));
  const lanes = Array.from({ length: count });
  const outcomes = await Promise.allSettled(lanes.map(async () => {
    try {
      await lane();
    } catch (error) {
      const isFirst = !isOver;
      isOver = true;
      // What it says to that is not what has failed.
      if (isFirst) void Promise.resolve().then(() => iterator.return?.()).catch(() => {});
      throw error;
    }
  }));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return results;
}
