import { type ReplicatedMap, worker } from "../../mod.ts";

/** What a thread is to do with a replicated map. */
export interface PlacedTask {
  readonly task: "fill" | "count" | "watch" | "write for ever";
  /** From keys to numbers, or to eight bytes of which each is the same. */
  readonly map: ReplicatedMap<number, number>;
  readonly bytes?: ReplicatedMap<number, Uint8Array>;
  readonly first: number;
  readonly count: number;
}

/** Puts its own keys in, and takes every third one out again. */
function fill({ map, first, count }: PlacedTask): number {
  for (let key = first; key < first + count; key++) {
    map.set(key, key * 3);
    if (key % 3 === 0 && !map.delete(key)) return -key;
  }
  return count;
}

/** Adds one to keys that all threads have in common. */
function addTo({ map, first, count }: PlacedTask): number {
  for (let round = 0; round < count; round++) {
    const key = first + (round % 50);
    if (round % 2 === 0) map.add(key, 1);
    else map.update(key, (value = 0) => value + 1);
  }
  return count;
}

/** Reads until a key has been put in: values only grow. Returns the number of its copy. */
function watch({ map, first, count }: PlacedTask): number {
  const last = new Map<number, number>();
  const keys = Uint32Array.from({ length: 20 }, (_, key) => first + key);
  const values = new Uint32Array(20);
  while (!map.has(count)) {
    for (let key = first; key < first + 50; key++) {
      const value = map.get(key) ?? 0;
      if (value < (last.get(key) ?? 0)) return -1;
      last.set(key, value);
    }
    map.getMany(keys, values);
    for (const [index, value] of values.entries()) {
      if (value < (last.get(first + index) ?? 0)) return -2;
    }
    if (map.size < 50) return -3;
  }
  return map.copy;
}

/** Until it is terminated: Deno does that at the event loop only. */
async function writeForEver({ bytes, first, count }: PlacedTask): Promise<number> {
  const value = new Uint8Array(8);
  for (let round = 0; bytes !== undefined; round++) {
    if (round % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
    const key = first + ((round * 7) % count);
    bytes.set(key, value.fill(round));
    if (round % 3 === 0) bytes.delete(first + ((round * 5) % count));
    if (round % 1999 === 0) bytes.clear();
  }
  return 0;
}

const tasks = { fill, count: addTo, watch, "write for ever": writeForEver };

export default worker((args: PlacedTask): number | Promise<number> => tasks[args.task](args));
