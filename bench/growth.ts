/**
 * How long single calls take while a map grows: the longest ones, too. A `HashMap` with a reader on another CPU, and a
 * `Map` in one thread.
 */
import process from "node:process";
import { section } from "../lib/cli/topo.ts";
import {
  Arena,
  CpuSet,
  HashMap,
  Histogram,
  type HistogramSnapshot,
  launch,
  Policy,
} from "../mod.ts";
import type { Row } from "./harness.ts";
import { cpusFor } from "./threads.ts";
import type { GrowthResult, GrowthTask } from "./workers/growth.ts";

const FROM = 1000;
const TO = 10_000_000;
const TO_QUICKLY = 100_000;
const PERCENTILES = [50, 99, 99.9, 99.99, 99.999];
const SMALL = 100_000;

type Counts = Pick<GrowthTask, "sets" | "gets" | "laps" | "warmUp">;

const newHistogram = (): Histogram => Histogram.create(new SharedArrayBuffer(Histogram.bytes()));

function newCounts(): Counts {
  return {
    ...{ sets: newHistogram(), gets: newHistogram() },
    ...{ laps: newHistogram(), warmUp: newHistogram() },
  };
}

const optionsOf = (capacity: number) => ({ capacity, key: "u32", value: "u32" }) as const;

/** In memory that is there: a page's first use takes longer than a call. */
function mapIn(arena: Arena, capacity: number): HashMap<number, number> {
  return HashMap.create(arena, optionsOf(capacity));
}

interface Run {
  readonly subject: string;
  readonly calls: HistogramSnapshot;
  /** Of the same thread, in which nothing was called. */
  readonly laps: HistogramSnapshot;
  readonly valid: boolean;
}

function start(task: GrowthTask, cpu: number): Promise<boolean> {
  return launch<GrowthResult>(new URL("./workers/growth.ts", import.meta.url), {
    policy: Policy.bindCpus(CpuSet.of(cpu)),
    args: task,
  }).join().then((result) => result.cpu === cpu);
}

/** Grows a map in one thread while another one reads it; and a `Map`. */
async function grow(to: number): Promise<Run[]> {
  const [first, second] = cpusFor(2) as [number, number];
  const bytes = HashMap.bytes(optionsOf(to)) + 3 * HashMap.bytes(optionsOf(SMALL)) + 2 ** 20;
  using arena = Arena.create({ node: 0, size: bytes });
  const all = { map: mapIn(arena, to), from: FROM, to };
  const task = (role: GrowthTask["role"], state: Int32Array): GrowthTask => ({
    ...{ ...all, role, state, small: mapIn(arena, SMALL) },
    ...newCounts(),
  });
  const state = (): Int32Array => new Int32Array(new SharedArrayBuffer(8));
  const together = state();
  const [writer, reader, alone] = [
    task("write", together),
    task("read", together),
    task("Map", state()),
  ] as const;
  const [wrote, read] = await Promise.all([start(writer, first), start(reader, second)]);
  const grew = await start(alone, first);
  const run = (subject: string, task: GrowthTask, calls: "sets" | "gets", valid: boolean): Run => ({
    ...{ subject, valid },
    ...{ calls: task[calls].snapshot(), laps: task.laps.snapshot() },
  });
  return [
    run("HashMap.set", writer, "sets", wrote),
    run("HashMap.get in another thread", reader, "gets", read),
    run("Map.set", alone, "sets", grew),
    run("Map.get in the same thread", alone, "gets", grew),
  ];
}

const shown = (ns: number): string =>
  ns >= 1e6
    ? `${(ns / 1e6).toFixed(1)} ms`
    : ns >= 1e4
    ? `${(ns / 1e3).toFixed(0)} µs`
    : `${ns.toFixed(0)} ns`;

/** Percentiles, and the longest. */
function figures(calls: HistogramSnapshot): number[] {
  return [...PERCENTILES.map((percentile) => calls.percentile(percentile)), calls.max];
}

/**
 * Measures, and prints a table.
 *
 * @param quick Whether to grow to a part only.
 * @returns A row for each percentile, and for the longest call.
 */
export async function measureGrowth(quick: boolean): Promise<Row[]> {
  const to = quick ? TO_QUICKLY : TO;
  const runs = await grow(to);
  const subjects = runs.flatMap(({ subject, calls, laps, valid }) => [
    { subject, calls, valid },
    { subject: `${subject}: laps without a call`, calls: laps, valid },
  ]);
  const named = [...PERCENTILES.map((percentile) => `${percentile} %`), "longest"];
  process.stdout.write(
    `${
      section(
        `a call while the map grows from ${FROM} to ${to} entries`,
        ["", "calls", ...named, ""],
        subjects.map(({ subject, calls, valid }) => [
          ...[subject, `${calls.count}`, ...figures(calls).map(shown)],
          valid ? "" : "a thread was not where it was pinned",
        ]),
      )
    }\n`,
  );
  return subjects.flatMap(({ subject, calls, valid }) =>
    figures(calls).map((value, index): Row => ({
      ...{ suite: "growth", name: `a call while the map grows, ${named[index]}`, subject },
      ...{ unit: "ns", valid, median: value, p10: value, p90: value, raw: [value] },
      samples: calls.count,
    }))
  );
}
