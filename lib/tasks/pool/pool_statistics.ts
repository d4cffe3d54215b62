/**
 * What a pool has done, and does.
 *
 * @module
 */
import { DISTANCES, namedClasses, type TimeClass } from "./pool_counts.ts";
import type { ThreadBinding } from "../../sched/binding/binding.ts";
import type { PoolHost } from "../host/pool_host.ts";
import { LEVELS } from "../core/task_names.ts";

/** From where tasks were taken, by how far that is. */
export type StealCounts = Readonly<Record<"core" | "domain" | "node" | "remote", number>>;

/** What is counted of a worker, and of a node. */
export interface TaskCounts {
  /** Tasks that wait in queues now. */
  readonly queued: number;
  /** Tasks that have ended. A parallel loop and a `forkJoin` are one for each worker. */
  readonly done: number;
  /** Those of them that have thrown. */
  readonly failed: number;
  /** Those that were taken from other workers' queues. */
  readonly stolen: StealCounts;
  /** How long tasks have run, in milliseconds; 0 unless the pool was created with `times: true`. */
  readonly busyMs: number;
  /** How long tasks have run, by size; empty without `times: true`. */
  readonly run: readonly TimeClass[];
  /** How long tasks have waited before that, by size; empty without `times: true`. */
  readonly wait: readonly TimeClass[];
}

/** What is counted of a worker. */
export interface WorkerStatistics extends TaskCounts {
  /** Which one. */
  readonly index: number;
  /** The node of its CPUs; undefined if they are on several. */
  readonly node: number | undefined;
  /** How it is bound as the kernel says, and what was refused; undefined while it has no thread. */
  readonly binding: ThreadBinding | undefined;
  /** Whether it has a thread that does tasks. */
  readonly isLive: boolean;
  /** Whether it does a task now. */
  readonly isBusy: boolean;
}

/** What is counted of all workers of a node. */
export interface NodeStatistics extends TaskCounts {
  /** The node; undefined for workers that may run on several. */
  readonly node: number | undefined;
}

/** What {@linkcode TaskPool.statistics} returns. */
export interface PoolStatistics extends TaskCounts {
  /** When it was counted: milliseconds since 1970. */
  readonly at: number;
  /** How long it was counted: since the pool was created, or since the other statistics. */
  readonly windowMs: number;
  /** The same for each worker, in the order of their indices. */
  readonly workers: readonly WorkerStatistics[];
  /** The same for each node that workers are on, in the order of their first workers. */
  readonly nodes: readonly NodeStatistics[];
}

function minus(now: readonly TimeClass[], before: readonly TimeClass[]): TimeClass[] {
  const old = new Map(before.map(({ leastMs, count }) => [leastMs, count]));
  return now.map(({ leastMs, count }) => ({ leastMs, count: count - (old.get(leastMs) ?? 0) }))
    .filter(({ count }) => count > 0);
}

function plus(a: readonly TimeClass[], b: readonly TimeClass[]): TimeClass[] {
  const sum = new Map<number, number>();
  for (const { leastMs, count } of [...a, ...b]) sum.set(leastMs, count + (sum.get(leastMs) ?? 0));
  return [...sum].sort(([x], [y]) => x - y).map(([leastMs, count]) => ({ leastMs, count }));
}

function steals(of: (distance: number) => number): StealCounts {
  return Object.fromEntries(DISTANCES.map((name, distance) => [name, of(distance)])) as StealCounts;
}

const NO_STEALS: StealCounts = { core: 0, domain: 0, node: 0, remote: 0 };
const NONE: TaskCounts = {
  ...{ queued: 0, done: 0, failed: 0, stolen: NO_STEALS, busyMs: 0, run: [], wait: [] },
};

/** What is counted in a window: what is there now, without what was there at its beginning. */
function since(now: TaskCounts, before: TaskCounts): TaskCounts {
  return {
    queued: now.queued,
    done: now.done - before.done,
    failed: now.failed - before.failed,
    stolen: steals((distance) => {
      const name = DISTANCES[distance] as typeof DISTANCES[number];
      return now.stolen[name] - before.stolen[name];
    }),
    busyMs: now.busyMs - before.busyMs,
    run: minus(now.run, before.run),
    wait: minus(now.wait, before.wait),
  };
}

function sum(all: readonly TaskCounts[]): TaskCounts {
  return all.reduce((a, b) => ({
    queued: a.queued + b.queued,
    done: a.done + b.done,
    failed: a.failed + b.failed,
    stolen: steals((distance) => {
      const name = DISTANCES[distance] as typeof DISTANCES[number];
      return a.stolen[name] + b.stolen[name];
    }),
    busyMs: a.busyMs + b.busyMs,
    run: plus(a.run, b.run),
    wait: plus(a.wait, b.wait),
  }), NONE);
}

interface Totals {
  readonly host: PoolHost;
  /** What each worker had counted in all. */
  readonly workers: readonly TaskCounts[];
}

/** By statistics. */
const totals = /* @__PURE__ */ new WeakMap<object, Totals>();

/**
 * Whether something is what {@linkcode poolStatistics} has returned for a pool.
 *
 * @param value Anything.
 * @param host The pool's thread.
 */
export function isStatistics(value: unknown, host: PoolHost): value is PoolStatistics {
  return totals.get(value as object)?.host === host;
}

/**
 * Counts.
 *
 * @param host The pool's thread.
 * @param createdAt When the pool was created: milliseconds since 1970.
 * @param before Statistics from the beginning of the window.
 * @returns The statistics.
 */
export function poolStatistics(
  host: PoolHost,
  createdAt: number,
  before: PoolStatistics | undefined,
): PoolStatistics {
  const { core, counts, crew, settings } = host;
  const at = Date.now();
  const total = settings.nodes.map((_, index): TaskCounts => {
    let queued = 0;
    for (let queue = 0; queue <= 2 * LEVELS; queue++) queued += core.length(index, queue);
    return {
      queued,
      done: host.done[index] as number,
      failed: counts.failed(index),
      stolen: steals((distance) => counts.stolen(index, distance)),
      busyMs: counts.busyMs(index),
      run: namedClasses(counts.classes(index, "run")),
      wait: namedClasses(counts.classes(index, "wait")),
    };
  });
  const old = before && totals.get(before)?.workers;
  const workers = total.map((now, index): WorkerStatistics => ({
    ...since(now, old?.[index] ?? NONE),
    index,
    node: settings.nodes[index] === -1 ? undefined : settings.nodes[index],
    binding: crew.bindingOf(index),
    isLive: crew.live.includes(index),
    isBusy: core.runs(index),
  }));
  const nodes = [...new Set(workers.map(({ node }) => node))].map((node): NodeStatistics => ({
    ...sum(workers.filter((worker) => worker.node === node)),
    node,
  }));
  const windowMs = at - (before?.at ?? createdAt);
  const statistics = { ...sum(workers), at, windowMs, workers, nodes };
  totals.set(statistics, { host, workers: total });
  return statistics;
}
