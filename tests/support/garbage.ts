import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { decode, type Handle } from "../../lib/base/handle.ts";

function collector(): () => void {
  const { Bun } = globalThis as unknown as { Bun?: { gc(wait: boolean): void } };
  if (Bun !== undefined) return () => Bun.gc(true);
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}

const collect = collector();
const ROUNDS = 100;

/** Collects garbage and runs finalizers, a few times: for what has to survive it. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    await sleep(1);
    collect();
  }
  await sleep(1);
}

/** What is left of an object that nobody refers to. */
export interface Dropped {
  readonly object: WeakRef<object>;
}

/**
 * Collects garbage until one of some objects is gone, and its finalizers have run. Any of them may seem to be used for as
 * long as a stack happens to have its address.
 *
 * @typeParam Left What is left of each.
 * @param dropped What is left of them.
 * @returns That of one that is gone.
 */
export async function collected<Left extends Dropped>(dropped: readonly Left[]): Promise<Left> {
  for (let round = 0; round < ROUNDS; round++) {
    await sleep(1);
    collect();
    const gone = dropped.find(({ object }) => object.deref() === undefined);
    if (gone === undefined) continue;
    await collectGarbage();
    return gone;
  }
  throw new Error("something refers to all of them");
}

/** What the program still has of an object that it has dropped. */
export interface Known extends Dropped {
  readonly handle: Handle;
}

/** Drops an object. */
export function drop(object: object & { toHandle(): Handle }): Known {
  return { handle: object.toHandle(), object: new WeakRef(object) };
}

/** Makes some, drops them, and finds one again that was collected meanwhile. */
export async function findAgain<Type extends object & { toHandle(): Handle }>(
  make: () => Type | Promise<Type>,
): Promise<Type> {
  const { handle } = await collected(await several(async () => drop(await make())));
  return decode(handle) as Type;
}

/** Makes some of a kind, one after the other. */
export async function several<Type>(make: () => Type | Promise<Type>): Promise<readonly Type[]> {
  const made: Type[] = [];
  for (let index = 0; index < 4; index++) made.push(await make());
  return made;
}
