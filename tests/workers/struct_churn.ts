import {
  type Cache,
  type Channel,
  type HashMap,
  type MessageRing,
  type OrderedMap,
  type PriorityQueue,
  worker,
} from "../../mod.ts";
import { numbers } from "../support/churn.ts";
import { isMessage, messageOf } from "./message_rings.ts";

/** What a thread is to do, over and over, with a structure that it shares. */
export type StructChurn = ChurnExtent & Churning;

/** Which thread it is, of how many, and how often it does something. Each has keys of its own. */
export interface ChurnExtent {
  readonly index: number;
  readonly threads: number;
  readonly operations: number;
}

/** What it is done with. */
type Churning =
  | { readonly kind: "map"; readonly structure: HashMap<number, number> }
  | { readonly kind: "ordered map"; readonly structure: OrderedMap<number, number> }
  | { readonly kind: "cache"; readonly structure: Cache<string, Uint8Array> }
  | { readonly kind: "priority queue"; readonly structure: PriorityQueue }
  | { readonly kind: "sends messages"; readonly structure: MessageRing }
  | { readonly kind: "takes messages"; readonly structure: MessageRing }
  | { readonly kind: "sends"; readonly structure: Channel<Uint8Array> };

/** What came of it. */
export interface StructChurned {
  /** What was wrong first, if anything. */
  readonly wrong: string | undefined;
  /** How many of its entries are in the structure in the end. */
  readonly left: number;
  /** The sum of their values. */
  readonly sum: number;
}

/** Keys of all threads. */
export const KEYS = 12_000;
/** Bytes of the largest message. */
export const MESSAGE_BYTES = 200;
/** Entries of a priority queue, of each thread. */
const QUEUED = 1000;
const PRIORITIES = 1 << 9;
/** How often the whole is compared with the model. */
const CHECKPOINTS = 8;
/** Operations after which others of this thread have their turn. */
const TURN = 5000;
/** No value. */
const NONE = -1;

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

/** What a map or an ordered map is for churning. */
interface MapLike extends Iterable<[number, number]> {
  readonly size: number;
  get(key: number): number | undefined;
  set(key: number, value: number): unknown;
  delete(key: number): boolean;
}

/** The first difference between a map and what one thread has in it. */
function differs(map: MapLike, model: Int32Array, extent: ChurnExtent, ordered: boolean): string {
  const { index, threads } = extent;
  let found = 0;
  let last = -1;
  for (const [key, value] of map) {
    if (ordered && key <= last) return `${key} comes after ${last}`;
    last = key;
    if (key % threads !== index) continue;
    found++;
    if (model[key] !== value) return `${key} has ${value}, not ${model[key]}`;
  }
  const wanted = model.reduce((count, value) => count + (value === NONE ? 0 : 1), 0);
  return found === wanted ? "" : `${found} entries of ${wanted}`;
}

/** Sets, deletes and reads keys that are this thread's. */
async function churnMap(
  map: MapLike,
  extent: ChurnExtent,
  ordered: boolean,
): Promise<StructChurned> {
  const { index, threads, operations } = extent;
  const random = numbers(index + 1);
  const model = new Int32Array(KEYS).fill(NONE);
  const checkpoint = Math.ceil(operations / CHECKPOINTS);
  let wrong: string | undefined;
  for (let step = 1; step <= operations && wrong === undefined; step++) {
    const key = random(KEYS / threads) * threads + index;
    const had = model[key] as number;
    const what = random(10);
    if (what < 4) {
      map.set(key, step);
      model[key] = step;
    } else if (what < 7) {
      if (map.delete(key) !== (had !== NONE)) wrong = `deleting ${key} of ${had}`;
      model[key] = NONE;
    } else if ((map.get(key) ?? NONE) !== had) {
      wrong = `${key} has ${map.get(key)}, not ${had}`;
    }
    if (step % checkpoint === 0) wrong ??= differs(map, model, extent, ordered) || undefined;
    if (step % TURN === 0) await turn();
  }
  const left = model.filter((value) => value !== NONE);
  return { wrong, left: left.length, sum: left.reduce((sum, value) => sum + value, 0) };
}

/** An entry is there as it was set last, or not at all; right after it was set it is there. */
async function churnCache(
  cache: Cache<string, Uint8Array>,
  { index, threads, operations }: ChurnExtent,
): Promise<StructChurned> {
  const random = numbers(index + 1);
  const model = new Int32Array(KEYS).fill(NONE);
  let [wrong, hits]: [string | undefined, number] = [undefined, 0];
  const read = (name: string, key: number): void => {
    const found = cache.get(name);
    if (found === undefined) return;
    hits++;
    if (!isMessage(found, model[key] as number, MESSAGE_BYTES)) wrong = `${name} has another value`;
  };
  for (let step = 1; step <= operations && wrong === undefined; step++) {
    // Some keys are popular.
    const key = random(1 + random(KEYS / threads)) * threads + index;
    const name = `key ${key}`;
    const what = random(20);
    if (what < 5) {
      model[key] = step;
      cache.set(name, messageOf(step, MESSAGE_BYTES));
      if (step % 64 === 0) read(name, key);
    } else if (what < 7) {
      cache.delete(name);
      if (cache.has(name)) wrong = `${name} is deleted`;
      model[key] = NONE;
    } else {
      read(name, key);
    }
    if (step % TURN === 0) await turn();
  }
  if (hits === 0) wrong ??= "no hit";
  return { wrong, left: hits, sum: 0 };
}

/** A number of pushes and pops; alone it gets the smallest one each time. */
async function churnQueue(
  queue: PriorityQueue,
  { index, threads, operations }: ChurnExtent,
): Promise<StructChurned> {
  const random = numbers(index + 1);
  const counts = new Int32Array(PRIORITIES);
  const strict = threads === 1 && queue.heaps === 1;
  let [left, sum, least]: number[] = [0, 0, 0] as [number, number, number];
  let wrong: string | undefined;
  for (let step = 1; step <= operations && wrong === undefined; step++) {
    const priority = random(PRIORITIES);
    if (left! < QUEUED && random(2) === 0) {
      if (!queue.pushWord(priority, priority)) wrong = `no room for ${left}`;
      (counts[priority] as number)++;
      [left, sum, least] = [left! + 1, sum! + priority, Math.min(least!, priority)];
    } else {
      const word = queue.popWord();
      if (word !== undefined) {
        [left, sum] = [left! - 1, sum! - word];
        (counts[word] as number)--;
        if (strict) {
          while (least! < word && counts[least!] === 0) least!++;
          if (least !== word) wrong = `${word} before ${least}`;
        }
      } else if (strict && left !== 0) wrong = `${left} are lost`;
    }
    if (step % TURN === 0) await turn();
  }
  return { wrong, left: left as number, sum: sum as number };
}

async function sendMessages(
  send: (message: Uint8Array) => void,
  { operations }: ChurnExtent,
): Promise<StructChurned> {
  for (let number = 1; number <= operations; number++) {
    send(messageOf(number, MESSAGE_BYTES));
    if (number % TURN === 0) await turn();
  }
  return { wrong: undefined, left: operations, sum: 0 };
}

/** Takes messages out: all of them, each as it was, in their order. */
async function takeMessages(
  ring: MessageRing,
  { operations }: ChurnExtent,
): Promise<StructChurned> {
  for (let number = 1; number <= operations; number++) {
    const message = ring.tryPop() ?? await ring.popAsync();
    if (message === undefined || !isMessage(message, number, MESSAGE_BYTES)) {
      return { wrong: `message ${number} is another one`, left: number, sum: 0 };
    }
    if (number % TURN === 0) await turn();
  }
  return { wrong: undefined, left: operations, sum: 0 };
}

/** Does what a thread is to do. */
export function churnStruct(task: StructChurn): Promise<StructChurned> {
  switch (task.kind) {
    case "map":
      return churnMap(task.structure, task, false);
    case "ordered map":
      return churnMap(task.structure, task, true);
    case "cache":
      return churnCache(task.structure, task);
    case "priority queue":
      return churnQueue(task.structure, task);
    case "sends messages":
      return sendMessages((message) => task.structure.push(message), task);
    case "takes messages":
      return takeMessages(task.structure, task);
    case "sends":
      return sendMessages((message) => task.structure.send(message), task);
  }
}

export default worker(churnStruct);
