import { worker } from "../../mod.ts";
import { inspect, type Kept } from "./fuzz_sync_inspect.ts";
import { type Pool, TALLY, tallyAt } from "./fuzz_sync_pool.ts";
import { runSyncProgram } from "./fuzz_sync_program.ts";

/** Which programs to run, on what. */
export interface SyncFuzzTask {
  readonly task: "run";
  readonly pool: Pool;
  /** The first seed. */
  readonly from: number;
  readonly programs: number;
  readonly calls: number;
  /** Which of the threads it is, from 1. */
  readonly thread: number;
  /** Whether its last program ends as if the thread had died. */
  readonly abandons: boolean;
  /** Whether somebody terminates it. */
  readonly dies: boolean;
}

/** What to look at in the end. */
export interface InspectTask {
  readonly task: "inspect";
  readonly pool: Kept;
  readonly hasDead: boolean;
}

export default worker(async (args: SyncFuzzTask | InspectTask): Promise<string[]> => {
  if (args.task === "inspect") return await inspect(args.pool, args.hasDead);
  const { pool, from, programs, calls, thread, abandons, dies } = args;
  Atomics.add(pool.words, tallyAt(pool) + TALLY.begun, 1);
  const last = from + programs - 1;
  for (let seed = from; seed <= last; seed++) {
    await runSyncProgram(pool, {
      ...{ seed, thread, calls, dies },
      abandons: abandons && seed === last,
    });
  }
  return [];
});
