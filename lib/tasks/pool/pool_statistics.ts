/**
 * What a pool has done, and does.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { DISTANCES, namedClasses, type TimeClass } from "./pool_counts.ts";
import type { PoolHost } from "../host/pool_host.ts";
import { LEVELS } from "../core/task_names.ts";
import type {
  NodeStatistics,
  PoolStatistics,
  StealCounts,
  TaskCounts,
  WorkerStatistics,
} from "./statistics_types.ts";

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
 * Takes what workers have handed in, and counts.
 *
 * @param host The pool's thread.
 * @param createdAt When the pool was created: milliseconds since 1970.
 * @param before Statistics from the beginning of the window.
 * @returns The statistics.
 * @throws {NumaError} `EINVAL` `before` is not what this has returned for the pool.
 */
export function poolStatistics(
  host: PoolHost,
  createdAt: number,
  before: PoolStatistics | undefined,
): PoolStatistics {
  const { core, counts, crew, settings } = host;
  const earlier = before && totals.get(before);
  if (before !== undefined && earlier?.host !== host) {
    throw new NumaError("EINVAL", `count tasks of task pool "${settings.name}"`, {
      why: `the earlier statistics are ${show(before)}`,
      fix: "Give what statistics() of this pool has returned.",
    });
  }
  host.drain();
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
  const workers = total.map((now, index): WorkerStatistics => ({
    ...since(now, earlier?.workers[index] ?? NONE),
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
