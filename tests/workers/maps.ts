import { type Arena, type HashMap, NumaError, type ShardedMap, worker } from "../../mod.ts";

/** What a thread is to do with a map. */
export interface MapTask {
  readonly task: "fill" | "count" | "watch" | "write for ever" | "destroy in an update";
  /** From keys to numbers, or to eight bytes of which each is the same. */
  readonly map: HashMap<number, number> | ShardedMap<number, number>;
  readonly bytes?: HashMap<number, Uint8Array> | ShardedMap<number, Uint8Array>;
  readonly first: number;
  readonly count: number;
  /** Where {@linkcode MapTask.map} is, and another map that stays. */
  readonly arena?: Arena;
  readonly control?: HashMap<number, number>;
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

/** Destroys the arena while it changes the first key, and lives on until there is a second key in the other map. */
async function destroyInUpdate({ map, arena, control, first }: MapTask): Promise<number> {
  let code = "none";
  try {
    map.update(first, () => {
      arena?.destroy();
      return 1;
    });
  } catch (error) {
    code = error instanceof NumaError ? error.code : String(error);
  }
  control?.set(1, 1);
  while (control?.has(2) === false) await new Promise((resolve) => setTimeout(resolve, 1));
  return Number(code === "EDESTROYED");
}

const tasks = {
  fill,
  count: addTo,
  watch,
  "write for ever": writeForEver,
  "destroy in an update": destroyInUpdate,
};

export default worker((args: MapTask): number | Promise<number> => tasks[args.task](args));
