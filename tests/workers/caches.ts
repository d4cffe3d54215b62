import { type Cache, worker } from "../../mod.ts";

/** What a thread is to do with a cache. */
export interface CacheTask {
  readonly task: "read and write" | "write for ever" | "compute" | "compute for ever" | "ask";
  readonly cache: Cache<string, Uint8Array>;
  readonly count: number;
  /** Its own number. */
  readonly number: number;
  /** How often something was computed, and what computes now. */
  readonly computed?: Int32Array;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A value that tells whose it is: a length, and bytes of which each is the same. */
export function valueOf(key: number, round: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(1 + (key * 37 + round * 11) % 300).fill(key);
}

/** Whether a value is one that somebody has written for a key. */
export function isValueOf(key: number, value: Uint8Array): boolean {
  return value.length > 0 && value.every((byte) => byte === (key & 0xff));
}

/** Returns how many values were not what somebody wrote. */
async function readAndWrite({ cache, count, number }: CacheTask): Promise<number> {
  let wrong = 0;
  for (let round = 0; round < count; round++) {
    const key = (round * 7919 + number * 31) % 200;
    const value = cache.get(`key ${key}`);
    if (value !== undefined && !isValueOf(key, value)) wrong++;
    if (value === undefined || round % 3 === 0) cache.set(`key ${key}`, valueOf(key, round));
    if (round % 29 === 0) cache.delete(`key ${key}`);
    if (round % 2000 === 0) await sleep(0);
  }
  return wrong;
}

/** Until it is terminated: Deno does that at the event loop only. */
async function writeForEver(task: CacheTask): Promise<number> {
  for (;;) await readAndWrite({ ...task, count: 2000 });
}

/** Asks for keys that all threads ask for. */
async function compute({ cache, count, computed }: CacheTask): Promise<number> {
  let wrong = 0;
  for (let key = 0; key < count; key++) {
    const value = await cache.getOrCompute(`computed ${key}`, async () => {
      Atomics.add(computed as Int32Array, key, 1);
      await sleep(3);
      return valueOf(key, 0);
    });
    if (!isValueOf(key, value)) wrong++;
  }
  return wrong;
}

/** Never ends. */
async function computeForEver({ cache, computed }: CacheTask): Promise<number> {
  await cache.getOrCompute("held", () => {
    Atomics.store(computed as Int32Array, 0, 1);
    return new Promise(() => setInterval(() => {}, 10));
  });
  return 0;
}

/** Waits for what another thread computes. */
async function ask({ cache, computed }: CacheTask): Promise<number> {
  Atomics.store(computed as Int32Array, 0, 1);
  const value = await cache.getOrCompute("held", () => Uint8Array.of(1, 2, 3));
  return value.length;
}

const tasks = {
  "read and write": readAndWrite,
  "write for ever": writeForEver,
  compute,
  "compute for ever": computeForEver,
  ask,
};

export default worker((args: CacheTask): Promise<number> => tasks[args.task](args));
