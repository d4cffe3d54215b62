/**
 * How benchmarks run: pinned, in rounds, in another order each round; every subject against its opponents of the same
 * run. Ratios are the result; absolute times are context.
 */
import { cpus } from "node:os";
import process from "node:process";
import { native } from "../lib/runtime/native.ts";
import { type Cost, summarizeSamples, timeBatch } from "../lib/cli/measure.ts";
import { CpuSet, currentCpu, pin, Policy, topology } from "../mod.ts";

/** Something to measure. */
export interface Subject {
  /** What it is called in the table. */
  readonly name: string;
  /** Does the operation `operations` times. Absent for a subject that times itself. */
  readonly batch?: () => void;
  /** How often `batch` does it. */
  readonly operations?: number;
  /** Measures itself in its comparison's unit, where the work is (in C, in other threads); NaN when not valid. */
  readonly self?: () => number | Promise<number>;
  /** How often `self` is asked a round. Default: 10; fewer for what takes long. */
  readonly repeats?: number;
  /** Says why it cannot be measured on this runtime; undefined when it can. Asked once, before anything is measured. */
  readonly whyNot?: () => string | undefined;
}

/**
 * A comparison: the first subject is ours, the others are what it is compared with in the same rounds: what a user would
 * write instead, or the same in more threads.
 */
export interface Comparison {
  readonly name: string;
  /** What its subjects are measured in. Default: nanoseconds an operation. */
  readonly unit?: Row["unit"];
  readonly subjects: readonly Subject[];
}

/** A row of the JSON report. */
export interface Row extends Cost {
  readonly suite: string;
  readonly name: string;
  readonly subject: string;
  /** Nanoseconds an operation, milliseconds, MiB, or a share from 0 to 1. */
  readonly unit: "ns" | "ms" | "MiB" | "share";
  readonly raw: readonly number[];
  /** False when the thread was not where it was pinned. */
  readonly valid: boolean;
  /** Why nothing was measured. */
  readonly missing?: string;
  /** Whom `ratio` compares with: numakit's subject has a row for each of its opponents, who have a row each. */
  readonly opponent?: string;
  /** The opponent's cost over this subject's: above 1, numakit is ahead. */
  readonly ratio?: number;
}

/** How long and how often to measure. */
export interface Effort {
  readonly rounds: number;
  readonly minMs: number;
}

export const FULL: Effort = { rounds: 7, minMs: 60 };
export const QUICK: Effort = { rounds: 3, minMs: 15 };

/** Something to keep results in, so that no engine leaves the work out. */
export const sink: { value: unknown } = { value: undefined };

function shuffled<Item>(items: readonly Item[]): Item[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1));
    [order[last], order[other]] = [order[other] as Item, order[last] as Item];
  }
  return order;
}

async function sample(
  { batch, operations = 1, self, repeats = 10 }: Subject,
  minMs: number,
): Promise<number[]> {
  if (batch !== undefined) return await timeBatch(batch, operations, minMs);
  const samples: number[] = [];
  for (let turn = 0; turn < repeats; turn++) samples.push(await self?.() ?? NaN);
  return samples;
}

/**
 * Measures a comparison.
 *
 * @param suite The suite's name.
 * @param comparison What to compare.
 * @param effort How long.
 * @returns For the first subject, numakit's, a row per opponent with the ratio; then a row per opponent.
 */
export async function compare(
  suite: string,
  comparison: Comparison,
  effort: Effort,
): Promise<Row[]> {
  const { name, unit = "ns", subjects } = comparison;
  const cpu = topology().allowedCpus.last as number;
  using _pinned = pin(Policy.bindCpus(CpuSet.of(cpu)), { bind: { memory: "off" } });
  const reasons = new Map(subjects.map((subject) => [subject, subject.whyNot?.()]));
  const measured = subjects.filter((subject) => reasons.get(subject) === undefined);
  const medians = new Map<Subject, number[]>(measured.map((subject) => [subject, []]));
  let valid = true;
  // The first time is for compiling.
  for (const subject of measured) {
    if (subject.batch !== undefined) await sample(subject, effort.minMs);
  }
  for (let round = 0; round < effort.rounds; round++) {
    for (const subject of shuffled(measured)) {
      const { median } = summarizeSamples(await sample(subject, effort.minMs));
      valid &&= !Number.isNaN(median);
      (medians.get(subject) as number[]).push(median);
      valid &&= currentCpu() === cpu;
    }
  }
  const inThread = subjects.some(({ batch }) => batch !== undefined);
  if (inThread && sink.value === undefined) throw new Error(`nothing was kept of ${name}`);
  const rows = subjects.map((subject): Row => {
    const described = { suite, name, subject: subject.name, unit };
    const raw = medians.get(subject);
    if (raw !== undefined) return { ...described, ...summarizeSamples(raw), raw, valid };
    const nothing = { median: NaN, p10: NaN, p90: NaN, samples: 0, raw: [], valid: false };
    return { ...described, ...nothing, missing: reasons.get(subject) as string };
  });
  const [ours, ...opponents] = rows as [Row, ...Row[]];
  const ratios = opponents.map(({ subject, median, missing }): Row => ({
    ...ours,
    opponent: subject,
    ...(missing === undefined && { ratio: median / ours.median }),
  }));
  return [...ratios, ...opponents];
}

/** What the figures were measured on. */
export interface RunDescription {
  readonly machine: {
    readonly cpu: string | undefined;
    readonly cpus: number;
    readonly nodes: number;
    readonly effectiveCpus: number;
  };
  readonly runtime: string;
  readonly versions: Readonly<Record<string, string | undefined>>;
}

/** Says what the figures are measured on. */
export function describeRun(): RunDescription {
  const { Deno, Bun } = globalThis as {
    Deno?: { version: { deno: string; v8: string } };
    Bun?: { version: string };
  };
  const versions: RunDescription["versions"] = Bun !== undefined
    ? { bun: Bun.version }
    : Deno !== undefined
    ? Deno.version
    : { node: process.versions.node, v8: process.versions.v8 };
  return {
    machine: {
      cpu: cpus()[0]?.model,
      cpus: topology().cpus.size,
      nodes: topology().nodes.length,
      effectiveCpus: topology().effectiveCpus,
    },
    runtime: native().backend,
    versions,
  };
}
