/**
 * A thread that allocates in one way. Each way has a thread of its own: what one leaves to the garbage collector, another
 * would pay for, and an engine's code is as good as what it has seen.
 */
import { Buffer } from "node:buffer";
import { Arena, worker, type WorkerFunction } from "../../mod.ts";
import { type LoopResult, measureLoop, sink } from "./loop.ts";

const BATCH = 4000;
const ALIVE = 1000;

function newArena(): Arena {
  return Arena.create({ node: 0, size: "16 MiB", pages: ["thp", "4k"] });
}

/** Ways to allocate: each a loop, written out as a user's would be. */
const WAYS = {
  offset(size: number): () => void {
    const arena = newArena();
    return () => {
      let last = 0;
      for (let index = 0; index < BATCH; index++) last = arena.alloc(size);
      sink.value = last;
      arena.reset();
    };
  },
  view(size: number): () => void {
    const arena = newArena();
    return () => {
      for (let index = 0; index < BATCH; index++) sink.value = arena.allocUint8(size);
      arena.reset();
    };
  },
  zeros(size: number): () => void {
    const arena = newArena();
    return () => {
      for (let index = 0; index < BATCH; index++) sink.value = arena.allocUint8(size).fill(0);
      arena.reset();
    };
  },
  buffer(size: number): () => void {
    return () => {
      for (let index = 0; index < BATCH; index++) sink.value = Buffer.allocUnsafe(size);
    };
  },
  array(size: number): () => void {
    return () => {
      for (let index = 0; index < BATCH; index++) sink.value = new Uint8Array(size);
    };
  },
  alive(size: number): () => void {
    const alive: Uint8Array[] = Array.from({ length: ALIVE }, () => new Uint8Array(size));
    sink.value = alive;
    return () => {
      for (let index = 0; index < BATCH; index++) alive[index % ALIVE] = new Uint8Array(size);
    };
  },
} as const;

/** A way to allocate. */
export type Way = keyof typeof WAYS;

/** What a thread is given. */
export interface AllocationsTask {
  readonly way: Way;
  /** Bytes each time. */
  readonly size: number;
}

function run({ way, size }: AllocationsTask): Promise<LoopResult> {
  return measureLoop(WAYS[way](size), BATCH);
}

const body: WorkerFunction<AllocationsTask, LoopResult> = worker(run);
export default body;
