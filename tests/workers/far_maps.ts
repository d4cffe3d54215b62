import { type HashMap, worker } from "../../mod.ts";

/** What a thread is to do with a map of keys and values of any length. */
export interface FarMapTask {
  readonly task: "read and write" | "write for ever";
  readonly map: HashMap<string, Uint8Array>;
  readonly count: number;
  /** Its own number. */
  readonly number: number;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A key of any length: with some of the same length. */
export function keyOf(key: number): string {
  return `${key} `.repeat(1 + (key % 9) * 4);
}

/** A value that tells whose it is: a length, and bytes of which each is the same. */
export function valueOf(key: number, round: number): Uint8Array {
  return new Uint8Array((key * 37 + round * 11) % 400).fill(key);
}

/** Whether a value is one that somebody has written for a key. */
export function isValueOf(key: number, value: Uint8Array): boolean {
  return value.every((byte) => byte === (key & 0xff));
}

/** Returns how many values were not what somebody wrote. */
async function readAndWrite({ map, count, number }: FarMapTask): Promise<number> {
  let wrong = 0;
  for (let round = 0; round < count; round++) {
    const key = (round * 7919 + number * 31) % 60;
    const value = map.get(keyOf(key));
    if (value !== undefined && !isValueOf(key, value)) wrong++;
    if (value === undefined || round % 3 === 0) map.set(keyOf(key), valueOf(key, round));
    if (round % 29 === 0) map.delete(keyOf(key));
    if (round % 2000 === 0) await sleep(0);
  }
  return wrong;
}

/** Until it is terminated: Deno does that at the event loop only. */
async function writeForEver(task: FarMapTask): Promise<number> {
  for (;;) {
    await readAndWrite({ ...task, count: 2000 });
    await sleep(0);
  }
}

const tasks = { "read and write": readAndWrite, "write for ever": writeForEver };

export default worker((args: FarMapTask): Promise<number> => tasks[args.task](args));
