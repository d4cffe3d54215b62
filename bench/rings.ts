/**
 * What rings cost: against a ring of the same design in C, messages, and bare words.
 */
import { MessageChannel, type Transferable } from "node:worker_threads";
import { RingBuffer } from "ringbuf.js";
import { CpuSet, launch, Policy, SpscRing } from "../mod.ts";
import { broadcasts, manyToMany } from "./crowds.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { benchLibrary, inC } from "./native.ts";
import { cpusFor } from "./threads.ts";
import type { RingsResult, RingsTask, Way } from "./workers/rings.ts";

const PAIRS = 500;
const C_COUNT = 400_000;
/** Records from one thread to another, at a time. */
const BATCH = 8;
const RECORDS = 8_000_000;
/** What ringbuf.js is made for. */
const LARGE_BATCH = 64;
const MESSAGES = 16_384;
const ROUND_TRIPS = 200_000;
const MESSAGE_ROUND_TRIPS = 4000;
const TRIPS = { count: ROUND_TRIPS, batch: 1, echo: true } as const;

const CAPACITY = 1024;
const newRing = (): SpscRing => SpscRing.create(new SharedArrayBuffer(SpscRing.bytes()));
const newStorage = (): SharedArrayBuffer => RingBuffer.getStorageForCapacity(CAPACITY, Int32Array);
/** A ring there and one back. */
export const overRings = (): Way => ({ kind: "ring", there: newRing(), back: newRing() });

/** Two threads on CPUs of their own. */
export function between(
  name: string,
  task: Pick<RingsTask, "count" | "batch" | "echo">,
  make: () => { readonly ways: readonly [Way, Way]; readonly transfer?: readonly Transferable[] },
): Subject {
  return {
    name,
    repeats: 1,
    async self(): Promise<number> {
      const { ways, transfer } = make();
      const cpus = cpusFor(2);
      const threads = ways.map((way, index) =>
        launch<RingsResult>(new URL("./workers/rings.ts", import.meta.url), {
          policy: Policy.bindCpus(CpuSet.of(cpus[index] as number)),
          args: { ...task, way, role: index === 0 ? "timed" : "other" } satisfies RingsTask,
          ...(transfer !== undefined && { transfer: [transfer[index] as Transferable] }),
        })
      );
      const results = await Promise.all(threads.map((thread) => thread.join()));
      const valid = results.every(({ cpu }, index) => cpu === cpus[index]);
      return valid ? (results[0] as RingsResult).cost : NaN;
    },
  };
}

function both(way: Way): { readonly ways: readonly [Way, Way] } {
  return { ways: [way, way] };
}

function ports(): ReturnType<Parameters<typeof between>[2]> {
  const { port1, port2 } = new MessageChannel();
  return {
    ways: [{ kind: "port", port: port1 }, { kind: "port", port: port2 }],
    transfer: [port1, port2],
  };
}

/** The loops are written out, as a user's would be. */
function pairs(): Subject {
  const ring = newRing();
  const record = new Int32Array(1);
  return {
    name: "SpscRing",
    operations: PAIRS,
    batch(): void {
      for (let index = 0; index < PAIRS; index++) {
        ring.tryPush(record);
        ring.tryPop(record);
      }
      sink.value = record;
    },
  };
}

function ringbufPairs(): Subject {
  const ring = new RingBuffer(newStorage(), Int32Array);
  const record = new Int32Array(1);
  return {
    name: "ringbuf.js",
    operations: PAIRS,
    batch(): void {
      for (let index = 0; index < PAIRS; index++) {
        ring.push(record);
        ring.pop(record);
      }
      sink.value = record;
    },
  };
}

function inCBetween(count: number, batch: number, echo: boolean): Subject {
  const cpus = Int32Array.from(cpusFor(2));
  const c = benchLibrary();
  return inC("C ring", (out) => c.bench_ring(count, batch, Number(echo), cpus, out));
}

/** The least that a round trip can take: a word there, and one back. */
export function twoWords(): Subject {
  const words = new Int32Array(new SharedArrayBuffer(512));
  return between("two words", TRIPS, () => both({ kind: "words", words }));
}

/** What is compared. */
export function comparisons(): Comparison[] {
  const c = benchLibrary();
  const stream = { count: RECORDS, batch: BATCH, echo: false };
  const large = { ...stream, batch: LARGE_BATCH };
  return [
    {
      name: "a record put in and taken out, in one thread",
      subjects: [
        pairs(),
        inC("C ring", (out) => c.bench_ring_pair(C_COUNT, out)),
        ringbufPairs(),
      ],
    },
    {
      name: "a record from one thread to another, eight at a time",
      subjects: [
        between("SpscRing", stream, () => both(overRings())),
        inCBetween(RECORDS, BATCH, false),
        between("postMessage", { ...stream, count: MESSAGES * BATCH }, ports),
      ],
    },
    {
      name: "a record from one thread to another, 64 at a time",
      subjects: [
        between("SpscRing", large, () => both(overRings())),
        between("ringbuf.js", large, () => both({ kind: "ringbuf", storage: newStorage() })),
        inCBetween(RECORDS, LARGE_BATCH, false),
      ],
    },
    {
      name: "a round trip of one record, both awake",
      subjects: [
        between("SpscRing", TRIPS, () => both(overRings())),
        inCBetween(ROUND_TRIPS, 1, true),
        twoWords(),
        between("postMessage", { ...TRIPS, count: MESSAGE_ROUND_TRIPS }, ports),
      ],
    },
    ...manyToMany(),
    ...broadcasts(),
  ];
}
