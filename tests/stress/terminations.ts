/**
 * Terminates holders of a robust lock, one after the other, while another thread waits for it, and looks how soon that gets it.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, type Lock, Mutex, type Thread } from "../../mod.ts";
import { STILL_MS } from "../../scripts/lib/host_progress.ts";
import { sibling } from "../support/checkout.ts";
import { monotonicMs } from "../../lib/runtime/clock.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { HOLD, type HolderTask, type Holding, STATES } from "./holder.ts";

/** What came of it. */
export interface Terminations {
  /** Holders terminated, by what they were doing. */
  readonly killed: Readonly<Record<Holding, number>>;
  /** How often the next one was told that the owner had died. */
  readonly heirs: number;
  /** From the end of the thread, as `terminate` told it, to the acquisition: milliseconds, ascending. */
  readonly waitsMs: readonly number[];
}

const module = sibling(import.meta.url, "./holder");

/**
 * Terminates holders.
 *
 * @param lock What they hold: free, and robust.
 * @param count How many.
 * @returns What came of it.
 * @throws When a holder cannot be terminated, or the heir fails or gets nothing for five minutes.
 */
export async function terminateHolders(lock: Lock, count: number): Promise<Terminations> {
  const other = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
  const words = sharedWords(HOLD.words);
  const start = (holding: Holding | "heir"): Thread =>
    launch(module, { args: { holding, lock, other, words } satisfies HolderTask });
  // Deno cannot stop a thread that is busy or asleep in the user's own code.
  const states = STATES.filter((state) =>
    process.versions["deno"] === undefined || state === "in our wait" ||
    state === "at the event loop"
  );
  const killed = { "in our wait": 0, "at the event loop": 0, busy: 0, asleep: 0 };
  const waitsMs: number[] = [];
  const times = new Float64Array(words.buffer, HOLD.time * 4, 1);
  const blocker = await other.acquireAsync();
  const heir = start("heir");
  for (let turn = 0; turn < count; turn++) {
    const holding = states[turn % states.length] as Holding;
    const holder = start(holding);
    holder.join().catch(() => undefined);
    await reaches(words, HOLD.held, turn + 1);
    // The heir wants it from now on, and sleeps by the time that the holder is gone.
    Atomics.store(words, HOLD.turn, turn + 1);
    Atomics.notify(words, HOLD.turn);
    await reaches(words, HOLD.wanted, turn + 1);
    if (!await holder.terminate()) throw new Error(`a holder ${holding} could not be terminated`);
    const gone = monotonicMs();
    // The looking itself is a sign of life to those that watch this process, so that it has to end here.
    const end = performance.now() + STILL_MS;
    while (Atomics.load(words, HOLD.inherited) <= turn) {
      if (heir.state === "ended") await heir.join();
      if (performance.now() > end) throw new Error(`nobody inherits from a holder ${holding}`);
      await sleep(0);
    }
    killed[holding]++;
    waitsMs.push(Math.max(0, (times[0] as number) - gone));
  }
  Atomics.store(words, HOLD.turn, -1);
  Atomics.notify(words, HOLD.turn);
  blocker.release();
  const heirs = await heir.join() as number;
  return { killed, heirs, waitsMs: waitsMs.sort((a, b) => a - b) };
}
