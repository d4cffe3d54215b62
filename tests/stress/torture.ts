/**
 * Torture: more threads than CPUs, long holds, changing CPUs, and threads that are terminated and started again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { launch, type Lock, Policy, type Thread, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { random, type TortureTask, WORDS } from "./worker.ts";

/** How to torture a lock. */
export interface Torture {
  readonly lock: Lock;
  readonly threads: number;
  readonly ms: number;
  readonly seed: number;
  /** Whether threads are terminated, which only robust locks survive. */
  readonly kills: boolean;
  /** Nobody moving for so long is a hang: the run ends and says so. Default: a minute, as a busy machine has pauses of its own. */
  readonly hangMs?: number;
}

/** What came of it. */
export interface Tortured {
  /** Turns of all threads. */
  readonly turns: number;
  /** Turns of the thread that had the fewest, of those that were there all the time. */
  readonly fewest: number;
  /** How often two were inside at once. */
  readonly violations: number;
  /** Threads terminated. */
  readonly killed: number;
  /** How often somebody was told that the owner before had died. */
  readonly heirs: number;
  /** The longest time in which nobody got anywhere. */
  readonly longestStandstillMs: number;
}

const KILL_MS = 40;
const module = sibling(import.meta.url, "./worker");

/** Threads under torture, by their index. */
class Crowd {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly #torture: Torture;
  readonly #threads: Thread<number>[] = [];
  readonly #pick: (below: number) => number;
  readonly #whole: Set<number>;
  /** Ended or told to. */
  readonly #left: Promise<unknown>[] = [];
  killed = 0;

  constructor(torture: Torture) {
    const { threads, seed } = torture;
    this.words = new Int32Array(new SharedArrayBuffer((WORDS.progress + threads) * 4));
    this.words[WORDS.phase] = 1;
    this.#torture = torture;
    this.#pick = random(seed);
    this.#whole = new Set(Array.from({ length: threads }, (_, index) => index));
    for (const index of this.#whole) this.#threads[index] = this.#start(index);
  }

  #start(index: number): Thread<number> {
    const { lock, seed } = this.#torture;
    const cpus = [...topology().allowedCpus];
    const args: TortureTask = { lock, words: this.words, index, seed: seed + index + 1, cpus };
    return launch<number>(module, { args, policy: Policy.unbound() });
  }

  /** Terminates one and starts another in its place. */
  async replaceOne(): Promise<void> {
    const index = this.#pick(this.#threads.length);
    const thread = this.#threads[index] as Thread<number>;
    this.#whole.delete(index);
    this.killed++;
    this.#left.push(thread.join().catch(() => 0));
    await thread.terminate({ timeoutMs: 200 });
    this.#threads[index] = this.#start(index);
  }

  get turns(): number {
    return this.words.subarray(WORDS.progress).reduce((sum, turns) => sum + turns, 0);
  }

  /** Turns of the one that had the fewest, of those that were not replaced. */
  get fewest(): number {
    const turns = [...this.#whole].map((index) => this.words[WORDS.progress + index] as number);
    return turns.length === 0 ? 1 : Math.min(...turns);
  }

  async end(): Promise<void> {
    Atomics.store(this.words, WORDS.phase, 2);
    await Promise.all([...this.#threads.map((thread) => thread.join()), ...this.#left]);
  }
}

/**
 * Tortures a lock.
 *
 * @param torture How.
 * @returns What came of it.
 * @throws When nobody got anywhere for so long, or a thread failed.
 */
export async function tortureLock(torture: Torture): Promise<Tortured> {
  const { hangMs = 60_000 } = torture;
  const crowd = new Crowd(torture);
  const begun = performance.now();
  // On a busy machine some threads still begin when the others have had thousands of turns.
  while (crowd.fewest === 0 && performance.now() - begun < hangMs) await sleep(1);
  const end = performance.now() + torture.ms;
  let seen = 0;
  let moved = performance.now();
  let longestStandstillMs = 0;
  while (performance.now() < end) {
    if (torture.kills) await crowd.replaceOne();
    await sleep(KILL_MS);
    const { turns } = crowd;
    const now = performance.now();
    if (turns !== seen) {
      longestStandstillMs = Math.max(longestStandstillMs, now - moved);
      moved = now;
    }
    seen = turns;
    if (now - moved > hangMs) throw new Error(`nobody got anywhere for ${hangMs} ms`);
  }
  await crowd.end();
  const { words, turns, fewest, killed } = crowd;
  return {
    turns,
    fewest,
    violations: words[WORDS.violations] as number,
    killed,
    heirs: words[WORDS.heirs] as number,
    longestStandstillMs,
  };
}
