/**
 * The harness of the cases of slots: memory, sleeping and the system's word on who is alive.
 *
 * @module
 */

import {
  ASLEEP,
  HEAD,
  type IsAlive,
  permitAt,
  slotOf,
  SlotsCore,
} from "../../lib/wait/slots_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import type { Case, Program, World } from "./spec.ts";

/** How many there are. */
export const SLOTS = 3;
/** A word a slot: whether somebody sleeps on its permit. */
const ASLEEP_ON = SlotsCore.words(SLOTS);
/** Words in which threads of a case tell each other things. */
export const SAID = ASLEEP_ON + SLOTS;
const WORDS = SAID + 8;

/** OS threads, as numbers that no two halves of others make. */
export const identityOf = (thread: number): number => (thread + 1) * (2 ** 32 + 1);

const FIELDS = ["permit", "owner", "generation", "runs", "parent", "known", "low", "high"];

function describe(word: number): string {
  if (word >= SAID) return `said ${word - SAID}`;
  if (word >= ASLEEP_ON) return `sleeper of slot ${word - ASLEEP_ON}`;
  if (word < LINE_WORDS) return word === HEAD.used ? "used" : `head ${word}`;
  return `${FIELDS[word % LINE_WORDS]} of slot ${Math.floor(word / LINE_WORDS) - 1}`;
}

/** What a case's threads work with. */
export class Process {
  readonly world: World;
  /** As `setup` and `end` see it; each thread makes its own. */
  readonly core: SlotsCore;

  constructor(world: World) {
    this.world = world;
    this.core = this.view();
  }

  /** One thread's slots. */
  view(): SlotsCore {
    const { words } = this.world;
    return new SlotsCore(words, SLOTS, (at) => {
      Atomics.store(words, ASLEEP_ON + Math.floor(at / LINE_WORDS) - 1, 0);
    });
  }

  /** What `Atomics.wait` does, but that it may also end for no reason: sleepers have to be ready for that. */
  sleep(core: SlotsCore, thread: number, id: number): void {
    const { words } = this.world;
    if (core.beginSleep(id)) {
      const at = ASLEEP_ON + slotOf(id);
      Atomics.store(words, at, 1);
      const me = this.world.waiter(thread);
      if (Atomics.load(words, permitAt(id)) === ASLEEP) {
        for (let round = 0; Atomics.load(words, at) === 1; round++) me.spin(round);
      }
    }
    core.endSleep(id);
  }

  /** Claims, and stays for a moment in which nobody else may say that the thread is gone, or is to end. */
  live(core: SlotsCore, parent = 0): number {
    const { world } = this;
    const id = core.claim(parent);
    if (id === 0) return 0;
    world.check(core.alive(id), `${id} is alive`);
    world.check(!core.stopped(id), `${id} was not stopped`);
    return id;
  }

  /** Says whether an OS thread runs: those of threads of the case until they were killed, no others. */
  system(thread: number): IsAlive {
    const { world } = this;
    const me = world.waiter(thread);
    return (identity) => {
      const other = Math.floor(identity / 2 ** 32) - 1;
      world.check(identityOf(other) === identity, `${identity} is no thread's`);
      return other < world.threads && me.alive(other + 1);
    };
  }

  /** So many slots can be claimed. */
  checkFree(expected: number): void {
    let free = 0;
    while (this.core.claim() !== 0) free++;
    this.world.check(free === expected, `${free} slots are free in the end, of ${expected}`);
  }
}

/** A thread that is no thread of the case. */
export const STRANGER = 9;

export function slotsCase(
  name: string,
  threads: number,
  more: Partial<Case>,
  setup: (process: Process, world: World) => Program,
): Case {
  return {
    name,
    threads,
    words: WORDS,
    preemptions: 3,
    describe,
    ...more,
    setup: (world): Program => setup(new Process(world), world),
  };
}
