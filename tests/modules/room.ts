// Takes all the memory it can have, in one of several ways, and says what came of it.
import process from "node:process";
import { Arena, launch, NumaError } from "../../mod.ts";
import { native } from "../../lib/runtime/native.ts";
import { sibling } from "../support/checkout.ts";
import type { RoomTask } from "../workers/room.ts";

const MIB = 2 ** 20;
/** The guests are slow: there less has to do. */
const [way, node = "0", rounds = "5", garbage = "300"] = process.argv.slice(2);

/** What the cgroup's limit leaves. */
function leftBytes(): number {
  const out = new BigUint64Array(2);
  if (native().calls.nk_memory_limit(new Uint8Array(1), out) < 2) throw new Error("no limit");
  return Number(out[0]);
}

/** Calls until there is no memory; says how often that went well. */
function untilFull(take: () => void): number {
  for (let count = 0;; count++) {
    try {
      take();
    } catch (error) {
      if (error instanceof NumaError && error.code === "ENOMEM") return count;
      throw error;
    }
  }
}

/** What a program does all the time: makes objects and forgets them. */
function makeGarbage(): number {
  let sum = 0;
  for (let round = 0; round < Number(garbage); round++) {
    const objects = Array.from({ length: 10_000 }, (_, index) => ({ index, text: `${index}` }));
    sum += objects[round % 100]?.index ?? 0;
  }
  return sum;
}

/** Two threads, an arena each at the same moment, and room for one. */
async function race(what: RoomTask["what"]): Promise<string[]> {
  const gate = new Int32Array(new SharedArrayBuffer(8));
  const size = Math.floor(leftBytes() * 0.6 / MIB) * MIB;
  // A buffer's memory stays until it is collected.
  const times = what === "buffer" ? 1 : Number(rounds);
  const args: RoomTask = { gate, threads: 2, rounds: times, what, size };
  const module = sibling(import.meta.url, "../workers/room");
  const threads = [launch<string[]>(module, { args }), launch<string[]>(module, { args })];
  const outcomes = await Promise.all(threads.map((thread) => thread.join()));
  return outcomes.flat();
}

const kept: Arena[] = [];
const ways: Record<string, () => Promise<unknown> | unknown> = {
  race: () => race("arena"),
  "race of growth": () => race("growth"),
  "race of buffers": () => race("buffer"),
  growth: () => {
    kept.push(Arena.create({ node: Number(node), size: MIB, reserve: 4096 * MIB }));
    return untilFull(() => kept[0]?.alloc(MIB));
  },
  arenas: () => untilFull(() => kept.push(Arena.create({ node: Number(node), size: 8 * MIB }))),
};
const outcome = await ways[way as string]?.();
makeGarbage();
console.log(JSON.stringify(outcome), kept.length);
