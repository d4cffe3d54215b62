/**
 * A thread that allocates in one way. Each way has a thread of its own: what one leaves to the garbage collector, another
 * would pay for, and an engine's code is as good as what it has seen.
 */
import { Buffer } from "node:buffer";
import { summarizeSamples, timeBatch } from "../../lib/cli/measure.ts";
import { Arena, currentCpu, worker, type WorkerFunction } from "../../mod.ts";

const BATCH = 4000;
const ALIVE = 1000;
const WARM_UP_MS = 40;
const MEASURE_MS = 60;

/** Something to keep results in, so that no engine leaves the work out. */
const sink: { value: unknown } = { value: undefined };

/** Ways to allocate: each a loop, written out as a user's would be. */
const WAYS = {
  offset(size: number): () => void {
    const arena = Arena.create({ node: 0, size: "16 MiB", pages: ["thp", "4k"] });
    return () => {
      let last = 0;
      for (let index = 0; index < BATCH; index++) last = arena.alloc(size);
      sink.value = last;
      arena.reset();
    };
  },
  view(size: number): () => void {
    const arena = Arena.create({ node: 0, size: "16 MiB", pages: ["thp", "4k"] });
    return () => {
      for (let index = 0; index < BATCH; index++) sink.value = arena.allocUint8(size);
      arena.reset();
    };
  },
  zeros(size: number): () => void {
    const arena = Arena.create({ node: 0, size: "16 MiB", pages: ["thp", "4k"] });
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

/** What came of it. */
export interface AllocationsResult {
  /** Nanoseconds each time. */
  readonly cost: number;
  /** The CPU it ran on at the end. */
  readonly cpu: number;
}

async function run({ way, size }: AllocationsTask): Promise<AllocationsResult> {
  const batch = WAYS[way](size);
  await timeBatch(batch, BATCH, WARM_UP_MS);
  const { median } = summarizeSamples(await timeBatch(batch, BATCH, MEASURE_MS));
  return { cost: median, cpu: currentCpu() };
}

const body: WorkerFunction<AllocationsTask, AllocationsResult> = worker(run);
export default body;
