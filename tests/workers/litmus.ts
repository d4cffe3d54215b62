// What tests/wait/loads_test.ts runs in two threads at once.
import { setTimeout as sleep } from "node:timers/promises";
import { worker } from "../../mod.ts";
import { RwCore } from "../../lib/sync/readers/rw_core.ts";
import { SeqCore } from "../../lib/sync/readers/seq_core.ts";
import { loadFollowing, loadShared, storeLeading } from "../../lib/wait/loads.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Crew } from "../support/crew.ts";

/** Which side of a test a thread is, and the words of both. */
export interface LitmusTask {
  readonly litmus:
    | "store, load"
    | "leading store, store, load"
    | "plain store, plain load"
    | "record"
    | "guarded"
    | "polled"
    | "handed over";
  readonly side: 0 | 1;
  readonly words: Int32Array;
}

/** Rounds of a test, each with words of its own. */
export const ROUNDS = 20_000;
/** Where each side counts its rounds, stores, and writes down what it found. */
const AT = {
  rounds: (side: number): number => side * LINE_WORDS,
  stores: (side: number): number => (2 + side * ROUNDS) * LINE_WORDS,
  found: (side: number): number => (2 + 2 * ROUNDS) * LINE_WORDS + side * ROUNDS,
};
/** The word behind these: how many threads are ready. */
const READY: number = (2 + 2 * ROUNDS) * LINE_WORDS + 2 * ROUNDS;
export const LITMUS_WORDS: number = READY + 1;
/** A thread that runs alone waits no longer for the other one. */
const MAX_LOOKS = 300;

/** How often neither side found what the other one had stored before its load. */
export function countReordered(words: Int32Array): number {
  let count = 0;
  for (let round = 0; round < ROUNDS; round++) {
    if (words[AT.found(0) + round] === 0 && words[AT.found(1) + round] === 0) count++;
  }
  return count;
}

/** So that both do a round at the same time, where both have a CPU. */
function meet(words: Int32Array, side: number, round: number): void {
  Atomics.store(words, AT.rounds(side), round);
  for (let look = 0; look < MAX_LOOKS; look++) {
    if (Atomics.load(words, AT.rounds(1 - side)) >= round) return;
  }
}

function storeThenLoad(words: Int32Array, side: number): void {
  for (let round = 0; round < ROUNDS; round++) {
    meet(words, side, round + 1);
    Atomics.store(words, AT.stores(side) + round * LINE_WORDS, 1);
    words[AT.found(side) + round] = loadFollowing(words, AT.stores(1 - side) + round * LINE_WORDS);
  }
}

/** The same with a store that has its order from the one behind it. */
function leadThenLoad(words: Int32Array, side: number): void {
  for (let round = 0; round < ROUNDS; round++) {
    meet(words, side, round + 1);
    storeLeading(words, AT.stores(side) + round * LINE_WORDS, 1);
    Atomics.store(words, AT.rounds(side), round + 1);
    words[AT.found(side) + round] = loadFollowing(words, AT.stores(1 - side) + round * LINE_WORDS);
  }
}

/** The same without order: here it has to happen that neither side finds the other's. */
function plainStoreThenLoad(words: Int32Array, side: number): void {
  for (let round = 0; round < ROUNDS; round++) {
    meet(words, side, round + 1);
    words[AT.stores(side) + round * LINE_WORDS] = 1;
    words[AT.found(side) + round] = words[AT.stores(1 - side) + round * LINE_WORDS] as number;
  }
}

const RECORD_WORDS = 16;

/** One writes records of one number, the other reads them. Returns how many were torn, or older than one before. */
function readRecords(words: Int32Array, side: number): number {
  const core = new SeqCore(
    words.subarray(4 * LINE_WORDS),
    { threads: 2, domains: 1 },
    RECORD_WORDS,
  );
  const record = new Int32Array(RECORD_WORDS);
  let wrong = 0;
  let newest = 0;
  for (let round = 1; round <= 10 * ROUNDS; round++) {
    if (side === 0) {
      core.write(record.fill(round));
    } else if (core.read(record)) {
      const [first = 0] = record;
      if (first < newest || record.some((word) => word !== first)) wrong++;
      newest = first;
    }
  }
  return wrong;
}

/** What the two words under a lock are away from each other. */
const GUARDED = [0, LINE_WORDS] as const;

/** One writes two plain words under a lock, the other reads them under it. Returns how often they differed, or went back. */
function readGuarded(words: Int32Array, side: number): number {
  const shape = { threads: 2, domains: 1 };
  const core = new RwCore(words.subarray(4 * LINE_WORDS), shape);
  const guarded = words.subarray(4 * LINE_WORDS + RwCore.words(shape));
  const me = new Crew().member(side);
  let wrong = 0;
  let newest = 0;
  for (let round = 1; round <= 10 * ROUNDS; round++) {
    if (side === 0) {
      while (!core.write.tryAcquire(me));
      guarded[GUARDED[0]] = round;
      guarded[GUARDED[1]] = round;
      core.write.release(me);
    } else if (core.read.tryAcquire(me)) {
      const first = guarded[GUARDED[0]] as number;
      const second = guarded[GUARDED[1]] as number;
      if (first !== second || first < newest) wrong++;
      newest = first;
      core.read.release(me);
    }
  }
  return wrong;
}

/**
 * One writes a plain word and then says so by a store that leads; the other one looks for that. Returns how often the word
 * was not there.
 */
function handOver(words: Int32Array, side: number): number {
  let wrong = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const data = AT.stores(0) + round * LINE_WORDS;
    const told = AT.stores(1) + round * LINE_WORDS;
    meet(words, side, round + 1);
    if (side === 0) {
      words[data] = 1;
      storeLeading(words, told, 1);
      Atomics.store(words, AT.rounds(0), round + 1);
    } else {
      let found = 0;
      for (let look = 0; look < MAX_LOOKS && found === 0; look++) found = loadShared(words, told);
      if (found === 1 && words[data] !== 1) wrong++;
    }
  }
  return wrong;
}

/** Waits in a loop that does nothing else, which a compiler might take for one that never ends. */
function poll(words: Int32Array, side: number): number {
  let looks = 0;
  for (let round = 1; round <= 100; round++) {
    if (side === 0) Atomics.store(words, LINE_WORDS, round);
    while (loadShared(words, side === 0 ? 0 : LINE_WORDS) < round) looks++;
    if (side === 1) Atomics.store(words, 0, round);
  }
  return looks;
}

/** A loop that has run before shows more: on Deno 39 to 471 times in each of 12 runs, against 0 to 7 in most. */
const WARM_UPS = 5;
/** Milliseconds after which a side begins alone: the other one will not come. */
const MAX_WAIT_MS = 60_000;

/**
 * Runs both sides at the same time. Alone, a side is through its rounds before a slow runtime has started the other's
 * thread: on Deno none of 12 runs showed anything then.
 */
async function together(
  run: (words: Int32Array, side: number) => void,
  words: Int32Array,
  side: number,
): Promise<void> {
  for (let time = 0; time < WARM_UPS; time++) {
    const own = new Int32Array(new SharedArrayBuffer(words.byteLength));
    own[AT.rounds(1 - side)] = ROUNDS;
    run(own, side);
    await sleep(5);
  }
  Atomics.add(words, READY, 1);
  for (let waited = 0; waited < MAX_WAIT_MS && Atomics.load(words, READY) < 2; waited++) {
    await sleep(1);
  }
  run(words, side);
}

export default worker(async ({ litmus, side, words }: LitmusTask): Promise<unknown> => {
  switch (litmus) {
    case "store, load":
      return await together(storeThenLoad, words, side);
    case "leading store, store, load":
      return await together(leadThenLoad, words, side);
    case "plain store, plain load":
      return await together(plainStoreThenLoad, words, side);
    case "record":
      return readRecords(words, side);
    case "guarded":
      return readGuarded(words, side);
    case "polled":
      return poll(words, side);
    case "handed over":
      return handOver(words, side);
  }
});
