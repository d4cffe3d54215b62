/**
 * What a pool is asked to be, checked; and which worker goes where.
 *
 * @module
 */
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type BindStrengths, checkStrengths } from "../../sched/binding/binding.ts";
import { checkPolicy, placementsOf } from "../../sched/policies/chosen.ts";
import { plan, type ThreadPlacement } from "../../sched/policies/plan.ts";
import { Policy } from "../../sched/policies/policy.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import type { Topology } from "../../topology/topology.ts";
import type { PoolThreads, PoolUnit, PoolWait, TaskPoolOptions, WhenFull } from "./pool_options.ts";
import { MAX_TASKS, MAX_WORKERS, REMOTE, type Victim } from "../core/task_names.ts";

/** The names of the options, as errors show them. */
const NAMES = [
  ...["threads", "per", "policy", "bind", "maxQueued", "whenFull", "idleMs", "wait", "spins"],
  ...["remoteSteals", "graceMs", "times", "name"],
];
const OPTIONS = /* @__PURE__ */ `{ ${/* @__PURE__ */ NAMES.join(", ")} }`;
const UNITS: readonly unknown[] = ["node", "domain", "core", "cpu"];
const MAX_INT = 2 ** 31 - 1;
const MAX_SPINS = 10_000_000;
const LEAST_TASKS = 64;
/** About as long as it takes to wake a thread: who waits longer than that loses no more than by sleeping at once. */
const FREE_SPINS = 5000;
/** Where spinning takes time from others. */
const FEW_SPINS = 100;

/** What a pool is. */
export interface PoolSettings {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Of each worker. */
  readonly policies: readonly { readonly policy: Policy; readonly place: number | undefined }[];
  readonly placements: readonly ThreadPlacement[];
  readonly bind: Required<BindStrengths>;
  /** The node of each worker's CPUs; -1 if they are on several. */
  readonly nodes: readonly number[];
  readonly victims: readonly (readonly Victim[])[];
  /** Most tasks that have not ended. */
  readonly most: number;
  /** Places for tasks. */
  readonly tasks: number;
  readonly whenFull: WhenFull;
  readonly idleMs: number;
  readonly wait: PoolWait;
  readonly spins: number;
  readonly budget: number;
  readonly graceMs: number | undefined;
  readonly times: boolean;
}

function oneOf<Value>(
  value: Value,
  name: string,
  values: readonly unknown[],
  action: string,
): Value {
  if (values.includes(value)) return value;
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(value)}`,
    fix: `Give ${values.map((one) => show(one)).join(" or ")}.`,
  });
}

function checkThreads(threads: unknown, cpus: number, action: string): PoolThreads {
  if (threads === undefined) {
    const count = Math.max(1, Math.min(MAX_WORKERS, cpus));
    return { min: count, max: count };
  }
  if (typeof threads !== "object" || threads === null) {
    const count = checkInteger(threads, "threads", 1, MAX_WORKERS, action);
    return { min: count, max: count };
  }
  const { min, max } = threads as PoolThreads;
  checkInteger(min, "threads.min", 1, MAX_WORKERS, action);
  return { min, max: checkInteger(max, "threads.max", min, MAX_WORKERS, action) };
}

/**
 * The units that workers are bound to.
 *
 * @param machine The machine.
 * @param per Their kind.
 * @returns The CPUs of each that the process may use, in turns between nodes and then between L3 domains.
 */
export function unitsOf(machine: Topology, per: PoolUnit): CpuSet[] {
  // Scatter's order of CPUs takes turns as the units are to.
  const cpus = plan(machine, Policy.scatter(), machine.allowedCpus.size)
    .map((placement) => placement.cpus.first as number);
  const keyOf = (cpu: number): number => {
    if (per === "node") return machine.nodeOfCpu(cpu);
    if (per === "domain") return machine.domainOfCpu(cpu);
    return per === "core" ? machine.coreOfCpu(cpu) ?? -1 - cpu : cpu;
  };
  const units = new Map<number, number[]>();
  for (const cpu of cpus) {
    const unit = units.get(keyOf(cpu)) ?? [];
    unit.push(cpu);
    units.set(keyOf(cpu), unit);
  }
  return Array.from(units.values(), (unit) => CpuSet.from(unit));
}

/** The node that all CPUs are on; -1 if there is none. */
function nodeOf(machine: Topology, cpus: CpuSet): number {
  const [node, ...others] = new Set(Array.from(cpus, (cpu) => machine.nodeOfCpu(cpu)));
  return others.length > 0 ? -1 : node ?? -1;
}

/** How far apart two workers are. */
function distanceOf(machine: Topology, a: CpuSet, b: CpuSet): number {
  const shares = (keyOf: (cpu: number) => number): boolean => {
    const keys = new Set(Array.from(a, keyOf));
    return Array.from(b, keyOf).some((key) => keys.has(key));
  };
  if (a.size === 1 && b.size === 1) {
    if (shares((cpu) => machine.coreOfCpu(cpu) ?? -1 - cpu)) return 0;
  }
  // An L3 may be one for several nodes: what is near a node is its memory.
  if (!shares((cpu) => machine.nodeOfCpu(cpu))) return REMOTE;
  return shares((cpu) => machine.domainOfCpu(cpu)) ? 1 : 2;
}

/**
 * Of each worker all others, the nearest first.
 *
 * @param machine The machine.
 * @param cpus The CPUs of each worker.
 * @returns The victims; of those that are as far away each worker begins with another one.
 */
export function victimsOf(machine: Topology, cpus: readonly CpuSet[]): Victim[][] {
  const farness = (me: number, worker: number): number => {
    const [from, to] = [cpus[me], cpus[worker]].map((set) => nodeOf(machine, set as CpuSet));
    return from === -1 || to === -1 ? 0 : machine.distance(from as number, to as number) ?? 0;
  };
  return cpus.map((mine, me) => {
    const others = [...cpus.keys()].filter((worker) => worker !== me);
    return others.map((worker) => ({
      victim: { worker, distance: distanceOf(machine, mine, cpus[worker] as CpuSet) },
      far: farness(me, worker),
      turn: (worker - me + cpus.length) % cpus.length,
    })).sort((a, b) => a.victim.distance - b.victim.distance || a.far - b.far || a.turn - b.turn)
      .map(({ victim }) => victim);
  });
}

/** A power of two. */
function placesFor(most: number): number {
  let places = LEAST_TASKS;
  while (places < most && places < MAX_TASKS) places *= 2;
  return places;
}

let count = 0;

/**
 * Checks what a caller gave, and places the workers.
 *
 * @param options The options; looked at once.
 * @param machine The machine.
 * @returns What the pool is.
 * @throws {NumaError} `EINVAL`; the errors of `plan`.
 */
export function poolSettings(options: TaskPoolOptions, machine: Topology): PoolSettings {
  checkOptions(options, OPTIONS, "create a task pool");
  const given = { ...options };
  const { name = `tasks-${++count}` } = given;
  const action = `create task pool ${show(name)}`;
  checkOptionNames(given, NAMES, action);
  if (typeof name !== "string") {
    throw new NumaError("EINVAL", action, { why: `name is ${show(name)}`, fix: "Give a text." });
  }
  const { per = "node", whenFull = "wait", wait = "block", times = false } = given;
  const { maxQueued, idleMs = 10_000, spins, remoteSteals = 4, graceMs } = given;
  const cpuCount = machine.effectiveCpus;
  const { min, max } = checkThreads(given.threads, cpuCount, action);
  oneOf(per, "per", UNITS, action);
  const policy = given.policy === undefined ? undefined : checkPolicy(given.policy, action);
  if (policy !== undefined && given.per !== undefined) {
    throw new NumaError("EINVAL", action, {
      why: "both per and a policy are given",
      fix: "Give one of them.",
    });
  }
  if (maxQueued !== undefined) checkInteger(maxQueued, "maxQueued", 0, MAX_INT, action);
  if (graceMs !== undefined) checkInteger(graceMs, "graceMs", 0, MAX_INT, action);
  const units = policy === undefined ? unitsOf(machine, per) : [];
  const policies = Array.from({ length: max }, (_, index) => {
    if (policy !== undefined) return { policy, place: index };
    return { policy: Policy.bindCpus(units[index % units.length] as CpuSet), place: undefined };
  });
  const bind = checkStrengths(given.bind ?? {}, action);
  const placements = policies.map(({ policy, place = 0 }) =>
    placementsOf(machine, policy, bind, place + 1, action)[place] as ThreadPlacement
  );
  const cpus = placements.map((placement) => placement.cpus);
  const most = maxQueued === undefined ? Infinity : maxQueued + max;
  return {
    ...{ name, min, max, policies, placements, bind, most },
    nodes: cpus.map((set) => nodeOf(machine, set)),
    victims: victimsOf(machine, cpus),
    tasks: placesFor(most),
    whenFull: oneOf(whenFull, "whenFull", ["wait", "reject"], action),
    idleMs: checkInteger(idleMs, "idleMs", 1, MAX_INT, action),
    wait: oneOf(wait, "wait", ["block", "await"], action),
    spins: checkInteger(
      spins ?? (cpuCount > max ? FREE_SPINS : FEW_SPINS),
      "spins",
      0,
      MAX_SPINS,
      action,
    ),
    budget: checkInteger(remoteSteals, "remoteSteals", 0, MAX_TASKS, action),
    graceMs,
    times: oneOf(times, "times", [true, false], action),
  };
}
