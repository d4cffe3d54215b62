import { setTimeout as sleep } from "node:timers/promises";
import { worker } from "../../mod.ts";
import { runProgram } from "../support/fuzz.ts";

/** Which programs to run, on what. */
export interface FuzzTask {
  readonly from: number;
  readonly to: number;
  readonly given: readonly unknown[];
  /** Counts programs, for the thread that terminates this one. */
  readonly done: Int32Array<SharedArrayBuffer>;
}

export default worker(async ({ from, to, given, done }: FuzzTask): Promise<void> => {
  for (let seed = from; seed < to; seed++) {
    await runProgram(seed, given);
    Atomics.add(done, 0, 1);
    // Deno stops a worker where it comes back to its event loop, and nowhere else.
    await sleep(0);
  }
});
