/** What the workers of `task_scenes.ts` do. */
import type { NodeArray } from "../../mod.ts";
import { LINE } from "./scene.ts";

/** Reads one element of each line of some elements. */
export function readSome(
  array: NodeArray<"float64">,
  part: number,
  from: number,
  to: number,
): number {
  const view = array.partitions()[part]?.view ?? new Float64Array();
  let sum = 0;
  for (let index = from; index < to; index += LINE / 8) sum += view[index] as number;
  return sum;
}
