import { type HashMap, worker } from "../../mod.ts";

/** What a thread is to do with a map. */
export interface MapTask {
  readonly task: "fill" | "count" | "watch" | "write for ever";
  /** From keys to numbers, or to eight bytes of which each is the same. */
  readonly map: HashMap<number, number>;
  readonly bytes?: HashMap<number, Uint8Array>;
  readonly first: number;
  readonly count: number;
}

/** Puts its own keys in, and takes every third one out again. */
function fill({ map, first, count }: MapTask): number {
  for (let key = first; key < first + count; key++) {
    map.set(key, key * 3);
    if (key % 3 === 0 && !map.delete(key)) return -key;
  }
  return count;
}

/** Adds one to keys that all threads have in common. */
function addTo({ map, first, count }: MapTask): number {
  for (let round = 0; round < count; round++) map.add(first + (round % 50), 1);
  return count;
}

/** Reads until a key has been deleted: values only grow, whatever else happens in the map. */
function watch({ map, first, count }: MapTask): number {
  const last = new Map<number, number>();
  for (let reads = 0;; reads++) {
    if (map.has(count)) return reads;
    const key = first + (reads % 50);
    const value = map.get(key) ?? 0;
    if (value < (last.get(key) ?? 0)) return -1;
    last.set(key, value);
  }
}

/** Until it is terminated: Deno does that at the event loop only. */
async function writeForEver({ bytes, first, count }: MapTask): Promise<number> {
  const value = new Uint8Array(8);
  for (let round = 0; bytes !== undefined; round++) {
    if (round % 2000 === 0) await new Promise((resolve) => setTimeout(resolve));

    const key = first + (round % count);
    bytes.set(key, value.fill(round));
    if (round % 7 === 0) bytes.delete(key);
  }
  return 0;
}

const tasks = { fill, count: addTo, watch, "write for ever": writeForEver };

export default worker((args: MapTask): number | Promise<number> => tasks[args.task](args));
