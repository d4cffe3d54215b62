import { setTimeout as sleep } from "node:timers/promises";
import { type HashMap, type OrderedMap, type ReplicatedMap, worker } from "../../mod.ts";

/** What a thread is to do with a map, and where it writes down what it did. */
export interface HistoryTask {
  readonly map:
    | HashMap<number, number>
    | OrderedMap<number, number>
    | ReplicatedMap<number, number>;
  /** The moments that were counted, and how many threads are ready. */
  readonly clock: Int32Array;
  /** For each call {@linkcode CALL_WORDS} words. */
  readonly log: Int32Array;
  readonly thread: number;
  readonly threads: number;
  readonly keys: number;
}

/** The words of a call: what, key, two arguments, its result with 0 for none, when it began and when it ended. */
export const CALL_WORDS = 7;
/** What a call is. */
export const CALLS = ["get", "set", "delete", "add", "compareExchange", "getOrInsert"] as const;

/** Does a call, of which no value is 0. */
function call(
  map: HistoryTask["map"],
  what: typeof CALLS[number],
  key: number,
  value: number,
  expected: number,
): number {
  switch (what) {
    case "get":
      return map.get(key) ?? 0;
    case "set":
      map.set(key, value);
      return 0;
    case "delete":
      return Number(map.delete(key));
    case "add":
      return map.add(key, value);
    case "compareExchange":
      return map.compareExchange(key, expected === 0 ? undefined : expected, value) ?? 0;
    case "getOrInsert":
      return map.getOrInsert(key, value);
  }
}

/** Does calls of a few keys, and of others that make the map larger and smaller meanwhile. */
export default worker(async (task: HistoryTask): Promise<number> => {
  const { map, clock, log, thread, threads, keys } = task;
  Atomics.add(clock, 1, 1);
  while (Atomics.load(clock, 1) < threads) await sleep(1);
  let random = thread + 1;
  const any = (below: number): number => {
    random = Math.imul(random, 0x915f77f5) + 1;
    return (random >>> 8) % below;
  };
  const seen = new Int32Array(keys);
  for (let at = 0; at < log.length; at += CALL_WORDS) {
    const what = any(CALLS.length);
    const key = any(keys);
    const value = what === 3 ? 1 + any(3) : thread * 10_000_000 + at + 1;
    const expected = seen[key] as number;
    const begin = Atomics.add(clock, 0, 1);
    const result = call(map, CALLS[what] as typeof CALLS[number], key, value, expected);
    const end = Atomics.add(clock, 0, 1);
    log.set([what, key, value, expected, result, begin, end], at);
    if (what !== 1) seen[key] = what === 2 ? 0 : result;
    const other = 1000 + thread * 1000 + any(200);
    if (at % 3 === 0) map.set(other, 1);
    else if (at % 3 === 1) map.delete(other);
    if (at % (CALL_WORDS * 512) === 0) await sleep(0);
  }
  return log.length / CALL_WORDS;
});
