/** What the tasks of `bench/tasks.ts` do, in every pool: next to nothing. */
import { currentCpu } from "../../mod.ts";

export function add(a: number, b: number): number {
  return a + b;
}

export function empty(): void {}

export function where(): number {
  return currentCpu();
}
