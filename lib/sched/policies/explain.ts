import { CpuSet } from "../../topology/cpu_set.ts";
import type { Topology } from "../../topology/topology.ts";
import { ordersOf } from "./orders.ts";
import { plan, type ThreadPlacement } from "./plan.ts";
import { Policy } from "./policy.ts";

// The plan is made by plan(); what is said of it here is read from it, so that it cannot say anything else.

/** Above this many, threads are told of in groups. */
const MAX_SENTENCES = 32;
/** The longest list of threads, in characters, that a line has. */
const MAX_LIST = 60;

/**
 * Why a thread is where it is.
 *
 * - `"core"`: the first on its core
 * - `"sibling"`: on a CPU of its own, whose core an earlier thread is on
 * - `"turn"`: the first on the package, node or L3 domain whose turn it was
 * - `"exclusive"`: on whole cores that no other thread gets
 * - `"repeat"`: on the CPUs of an earlier thread, because there were no others left
 * - `"bound"`: where the policy binds every thread
 * - `"unbound"`: wherever the kernel puts it
 */
export type PlacementReason =
  | "core"
  | "sibling"
  | "turn"
  | "exclusive"
  | "repeat"
  | "bound"
  | "unbound";

/** Why one thread of a plan goes where it goes. */
export interface ThreadExplanation {
  /** Its index in the plan. */
  readonly index: number;
  /** Where it goes. */
  readonly placement: ThreadPlacement;
  /** Why. */
  readonly reason: PlacementReason;
  /** The latest earlier thread on its core (`"sibling"`) or on the same CPUs (`"repeat"`). */
  readonly sharesWith: number | undefined;
  /** All of this in words, for people. The wording may change. */
  readonly sentence: string;
}

/** Why the threads of a plan go where they go. */
export interface PlanExplanation {
  /** The policy. */
  readonly policy: Policy;
  /** Each thread. */
  readonly threads: readonly ThreadExplanation[];
  /** The plan in a few lines, for people: what the policy does, groups of threads, nodes. The wording may change. */
  readonly summary: string;
  /**
   * The summary and what it does not say: each thread's sentence, or for more than 32 threads the L3 domains.
   *
   * @returns Lines separated by line feeds, without one at the end.
   */
  toString(): string;
}

/**
 * Says in words why each thread goes where it goes: {@linkcode plan}, for people. A pure function.
 *
 * @param topology The machine.
 * @param policy The policy, or the text of one.
 * @param count The number of threads: 0 to 65535.
 * @returns The explanation.
 * @throws {NumaError} What {@linkcode plan} throws.
 *
 * @example
 * ```ts
 * import { explain, syntheticTopology } from "@numakit/numakit";
 *
 * const machine = syntheticTopology("pack:2 numa:1 core:2 pu:2");
 * const { threads } = explain(machine, "scatter", 5);
 * console.log(threads[1]!.sentence);
 * // Thread 1 runs on CPU 4 (core 2, node 1): node 1 is next in turn.
 * console.log(threads[4]!.sentence);
 * // Thread 4 runs on CPU 1 (core 0, node 0): every core has a thread, so it shares this one with thread 0.
 * ```
 */
export function explain(
  topology: Topology,
  policy: Policy | string,
  count: number,
): PlanExplanation {
  const known = Policy.from(policy);
  const placements = plan(topology, known, count);
  const guide = new Guide(topology, known);
  const threads = Object.freeze(placements.map((place, index) => guide.explain(place, index)));
  const summary = summarize(topology, known, threads);
  const toString = (): string =>
    [
      summary,
      ...threads.length > MAX_SENTENCES
        ? domainLines(topology, threads)
        : threads.map(({ sentence }) => sentence),
    ].join("\n");
  return Object.freeze({ policy: known, threads, summary, toString });
}

/** What threads take turns between. */
const PLACES: Readonly<Partial<Record<Policy["kind"], string>>> = {
  perPackage: "package",
  perNode: "node",
  perDomain: "L3 domain",
};

/** Goes through a plan from its first thread to its last. */
class Guide {
  readonly #topology: Topology;
  readonly #policy: Policy;
  /** The latest thread on a set of CPUs, by its text, and on a core. */
  readonly #onCpus: Map<string, number> = new Map();
  readonly #onCore: Map<string, number> = new Map();
  /** What is said of a set of CPUs, by its text: thousands of threads may have the same. */
  readonly #places: Map<string, { readonly where: string; readonly memory: string }> = new Map();
  #before: number | undefined;

  constructor(topology: Topology, policy: Policy) {
    this.#topology = topology;
    this.#policy = policy;
  }

  explain(placement: ThreadPlacement, index: number): ThreadExplanation {
    const { cpus } = placement;
    const core = this.#topology.smtSiblings(cpus.first!).text;
    const same = this.#onCpus.get(cpus.text);
    const sibling = cpus.size === 1 ? this.#onCore.get(core) : undefined;
    const reason = this.#reasonOf(same, sibling);
    const sharesWith = reason === "repeat" ? same : reason === "sibling" ? sibling : undefined;
    const verb = cpus.size === 1 ? "runs" : "may run";
    const why = this.#why(reason, cpus, sharesWith);
    const { where, memory } = this.#place(placement);
    const sentence = `Thread ${index} ${verb} on ${where}: ${why}.${memory}`;
    this.#onCpus.set(cpus.text, index);
    this.#onCore.set(core, index);
    this.#before = cpus.first;
    return Object.freeze({ index, placement, reason, sharesWith, sentence });
  }

  #place(placement: ThreadPlacement): { readonly where: string; readonly memory: string } {
    const { text } = placement.cpus;
    const known = this.#places.get(text) ??
      { where: locate(this.#topology, placement.cpus), memory: this.#memory(placement) };
    this.#places.set(text, known);
    return known;
  }

  #reasonOf(same: number | undefined, sibling: number | undefined): PlacementReason {
    switch (this.#policy.kind) {
      case "unbound":
        return "unbound";
      case "exclusive":
        return "exclusive";
      case "bindNode":
      case "bindCpus":
      case "bindPlaces":
      case "near":
        return "bound";
      case "perPackage":
      case "perNode":
      case "perDomain":
        return same === undefined ? "turn" : "repeat";
    }
    if (same !== undefined) return "repeat";
    return sibling === undefined ? "core" : "sibling";
  }

  #why(reason: PlacementReason, cpus: CpuSet, other: number | undefined): string {
    const { kind } = this.#policy;
    switch (reason) {
      case "unbound":
        return "it is left to the kernel";
      case "exclusive":
        return "no other thread of this plan gets these cores";
      case "bound":
        return kind === "near"
          ? `${this.#policy.device} is attached to that node`
          : "the policy binds every thread there";
      case "turn":
        return `this ${PLACES[kind]} is next in turn, and has no thread yet`;
      case "repeat":
        return `every ${
          PLACES[kind] ?? "CPU"
        } has a thread, so it shares this one with thread ${other}`;
      case "sibling":
        return kind === "compact"
          ? `thread ${other} is on this core, and compact fills a core before it takes the next`
          : `every core has a thread, so it shares this one with thread ${other}`;
      case "core":
        return this.#whyCore(cpus.first!);
    }
  }

  /** What decided about a core without a thread. */
  #whyCore(cpu: number): string {
    const topology = this.#topology;
    const { nodes, domains, homeOf } = ordersOf(topology);
    const domain = topology.domainOfCpu(cpu);
    const before = this.#before;
    if (this.#policy.kind === "scatter") {
      if (nodes.length > 1) {
        return before !== undefined && homeOf(before) === homeOf(cpu)
          ? "no other node has a core without a thread"
          : `${nodeName(homeOf(cpu), topology)} is next in turn`;
      }
      if (domains.length > 1) {
        return before !== undefined && topology.domainOfCpu(before) === domain
          ? "no other L3 domain has a core without a thread"
          : `L3 domain ${domain} is next in turn`;
      }
    } else if (before === undefined) {
      return "it is the first core";
    } else if (homeOf(before) !== homeOf(cpu)) {
      return `${nodeName(homeOf(before), topology)} has no core without a thread left`;
    } else if (topology.domainOfCpu(before) !== domain) {
      return `L3 domain ${topology.domainOfCpu(before)} has no core without a thread left`;
    }
    return "it is the next core without a thread";
  }

  #memory({ cpus, node }: ThreadPlacement): string {
    if (node !== undefined || this.#policy.kind === "unbound") return "";
    const { homeOf } = ordersOf(this.#topology);
    const homes = [...new Set(Array.from(cpus, homeOf))];
    const why = homes.length > 1
      ? "its CPUs are on several nodes"
      : isNode(homes[0]!, this.#topology)
      ? `node ${homes[0]} has none that it may use`
      : "its CPUs are on no node";
    return ` Its memory is left to the kernel: ${why}.`;
  }
}

function isNode(id: number, topology: Topology): boolean {
  return topology.nodes.some((node) => node.id === id);
}

function nodeName(node: number, topology: Topology): string {
  return isNode(node, topology) ? `node ${node}` : "the part without a node";
}

/** CPUs with what they are part of, as far as the machine has several of that. */
function locate(topology: Topology, cpus: CpuSet): string {
  const { homeOf } = ordersOf(topology);
  const parts: string[] = [];
  const add = (name: string, keys: readonly (number | undefined)[]): void => {
    const [key, ...others] = new Set(keys);
    if (key !== undefined && others.length === 0) parts.push(`${name} ${key}`);
  };
  const all = [...cpus];
  if (topology.cores.length > 0 && topology.cores.length < topology.cpus.size) {
    const cores = new Set(all.map((cpu) => topology.coreOfCpu(cpu)));
    if (cores.size === 1) add("core", [...cores]);
    else if (!cores.has(undefined)) parts.push(`${cores.size} cores`);
  }
  if (hasDomains(topology)) add("L3 domain", all.map((cpu) => topology.domainOfCpu(cpu)));
  if (topology.nodes.length > 1) {
    const homes = new Set(all.map(homeOf));
    if (homes.size === 1) parts.push(nodeName([...homes][0]!, topology));
    else parts.push(`${homes.size} nodes`);
  }
  return `${cpus.size === 1 ? "CPU" : "CPUs"} ${cpus}` +
    (parts.length === 0 ? "" : ` (${parts.join(", ")})`);
}

/** Whether L3 domains say more than nodes do. */
function hasDomains({ domains, nodes }: Topology): boolean {
  return domains.length > 1 && domains.length !== nodes.filter(({ cpus }) => cpus.size > 0).length;
}

/** What a policy does, in a sentence. */
function ruleOf(policy: Policy): string {
  switch (policy.kind) {
    case "compact":
      return "one CPU for each, as close together as possible";
    case "scatter":
      return "one CPU for each, as far apart as possible";
    case "perCore":
      return "one CPU for each, core after core, SMT siblings last";
    case "perPackage":
      return "all CPUs of one package for each, in turns";
    case "perNode":
      return "all CPUs of one node for each, in turns";
    case "perDomain":
      return "all CPUs of one L3 domain for each, in turns";
    case "exclusive":
      return `${policy.cores} whole ${policy.cores === 1 ? "core" : "cores"} for each alone`;
    case "unbound":
      return "wherever the kernel puts them";
    case "near":
      return `all CPUs of the node that ${policy.device} is attached to, for each`;
    case "bindNode":
    case "bindCpus":
    case "bindPlaces":
      return "the same CPUs for each";
  }
}

/** What is said of one thread and of several, by the reason why they are there. */
const GROUPS: Readonly<Record<PlacementReason, readonly [one: string, several: string]>> = {
  core: ["is the first on its core", "are the first on their cores"],
  sibling: ["shares a core with an earlier thread", "share a core with an earlier thread"],
  turn: ["is the first on its CPUs", "are the first on their CPUs"],
  exclusive: ["has its cores alone", "have their cores alone"],
  repeat: ["shares its CPUs with an earlier thread", "share their CPUs with an earlier thread"],
  bound: ["may run on all of these CPUs", "may run on all of these CPUs"],
  unbound: ["may run on all of these CPUs", "may run on all of these CPUs"],
};

function counted(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? "" : "s"}`;
}

function summarize(
  topology: Topology,
  policy: Policy,
  threads: readonly ThreadExplanation[],
): string {
  const lines = [`${counted(threads.length, "thread")} by "${policy}": ${ruleOf(policy)}.`];
  for (const [reason, [one, several]] of Object.entries(GROUPS)) {
    const group = threads.filter((thread) => thread.reason === reason);
    if (group.length === 0) continue;
    const list = CpuSet.from(group.map(({ index }) => index)).text;
    const who = list.length > MAX_LIST
      ? counted(group.length, "thread")
      : `Thread${group.length === 1 ? "" : "s"} ${list}`;
    lines.push(`${who} ${group.length === 1 ? one : several}.`);
  }
  const { homeOf } = ordersOf(topology);
  const homes = (cpus: CpuSet): string => {
    const [home, ...others] = new Set(Array.from(cpus, homeOf));
    if (others.length > 0) return "Several nodes";
    const name = nodeName(home!, topology);
    return `${name[0]!.toUpperCase()}${name.slice(1)}`;
  };
  lines.push(...groupLines(threads, homes));
  const { allowed } = topology.snapshot;
  if (allowed.quota !== null && threads.length > topology.effectiveCpus) {
    lines.push(`The CPU quota lets ${counted(topology.effectiveCpus, "thread")} run at once.`);
  }
  return lines.join("\n");
}

/** A line for each group: how many threads it has, on which CPUs. */
function groupLines(
  threads: readonly ThreadExplanation[],
  nameOf: (cpus: CpuSet) => string,
): string[] {
  const sets = new Map<string, { readonly cpus: CpuSet; count: number }>();
  for (const { placement: { cpus } } of threads) {
    const set = sets.get(cpus.text) ?? { cpus, count: 0 };
    set.count++;
    sets.set(cpus.text, set);
  }
  const groups = new Map<string, { count: number; cpus: number[] }>();
  for (const { cpus, count } of sets.values()) {
    const name = nameOf(cpus);
    const group = groups.get(name) ?? { count: 0, cpus: [] };
    group.count += count;
    for (const cpu of cpus) group.cpus.push(cpu);
    groups.set(name, group);
  }
  const known = Array.from(groups, ([name, { count, cpus }]) => {
    return { name, count, cpus: CpuSet.from(cpus) };
  });
  known.sort((a, b) => a.cpus.first! - b.cpus.first!);
  return known.map(({ name, count, cpus }) => {
    return `${name}: ${counted(count, "thread")} on ${cpus.size === 1 ? "CPU" : "CPUs"} ${cpus}.`;
  });
}

function domainLines(topology: Topology, threads: readonly ThreadExplanation[]): string[] {
  if (!hasDomains(topology)) return [];
  const nameOf = (cpus: CpuSet): string => {
    const [domain, ...others] = new Set(Array.from(cpus, (cpu) => topology.domainOfCpu(cpu)));
    return others.length > 0 ? "Several L3 domains" : `L3 domain ${domain}`;
  };
  return groupLines(threads, nameOf);
}
