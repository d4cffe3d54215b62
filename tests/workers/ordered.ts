import { type OrderedMap, worker } from "../../mod.ts";

/** What a thread is to do with an ordered map. */
export interface OrderedTask {
  readonly task: "fill" | "count" | "scan" | "pop" | "write for ever";
  /** From keys to numbers, or to eight bytes of which each is the same. */
  readonly map: OrderedMap<number, number>;
  readonly bytes?: OrderedMap<number, Uint8Array>;
  readonly first: number;
  readonly count: number;
}

/** Puts its own keys in, and takes every third one out again. */
function fill({ map, first, count }: OrderedTask): number {
  for (let key = first; key < first + count; key++) {
    map.set(key, key * 3);
    if (key % 3 === 0 && !map.delete(key)) return -key;
  }
  return count;
}

/** Adds one to keys that all threads have in common. */
function addTo({ map, first, count }: OrderedTask): number {
  for (let round = 0; round < count; round++) {
    const key = first + (round % 50);
    if (round % 2 === 0) map.add(key, 1);
    else map.update(key, (value = 0) => value + 1);
  }
  return count;
}

/** Scans both ways until a key has been put in: the fifty keys are there all the time, each once, in order. */
function scan({ map, first, count }: OrderedTask): number {
  for (let scans = 0;; scans++) {
    if (map.has(count)) return scans;
    const reverse = scans % 2 === 1;
    const entries = [...map.entries({ reverse })];
    if (reverse) entries.reverse();
    const isShared = (key: number): boolean => key >= first && key < first + 50;
    // Others have three times their key.
    if (entries.some(([key, value]) => !isShared(key) && key < count && value !== key * 3)) {
      return -5;
    }
    const keys = entries.map(([key]) => key);
    if (keys.some((key, at) => at > 0 && key <= (keys[at - 1] as number))) return -1;
    if (keys.filter(isShared).length !== 50) return -2;
    const floor = map.floor(first + 49);
    if (floor?.[0] !== first + 49) return -3;
    if (map.higher(first)?.[0] !== first + 1 || map.lower(first + 1)?.[0] !== first) return -4;
  }
}

/** Takes the first entry out until there is none. Returns the sum of their keys. */
function pop({ map }: OrderedTask): number {
  let sum = 0;
  let last = -1;
  for (;;) {
    const entry = map.popFirst();
    if (entry === undefined) return sum;
    if (entry[0] <= last) return -1;
    last = entry[0];
    sum += last;
  }
}

/** Until it is terminated: Deno does that at the event loop only. */
async function writeForEver({ bytes, first, count }: OrderedTask): Promise<number> {
  const value = new Uint8Array(8);
  for (let round = 0; bytes !== undefined; round++) {
    if (round % 500 === 0) await new Promise((resolve) => setTimeout(resolve));
    const key = first + ((round * 7) % count);
    bytes.set(key, value.fill(round));
    if (round % 3 === 0) bytes.delete(first + ((round * 5) % count));
  }
  return 0;
}

const tasks = { fill, count: addTo, scan, pop, "write for ever": writeForEver };

export default worker((args: OrderedTask): number | Promise<number> => tasks[args.task](args));
