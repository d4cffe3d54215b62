/**
 * The place that a thread takes: one of its policy's that no other thread of this one's has.
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { deviceNode } from "../../topology/devices.ts";
import { topologyNow } from "../../topology/load.ts";
import type { Topology } from "../../topology/topology.ts";
import type { BindStrengths } from "../binding/binding.ts";
import type { Wish } from "../binding/pin.ts";
import { allCpusOf } from "./places.ts";
import { countPlaces, plan, type ThreadPlacement } from "./plan.ts";
import { Policy } from "./policy.ts";

/** A place that was chosen. */
export interface Chosen {
  /** Its index in the policy's places, from 0. */
  readonly place: number;
  /** Where the thread goes. */
  readonly placement: ThreadPlacement;
  /** What is asked of the system for that. */
  readonly wish: Wish;
  /** To be called when the thread has left it. */
  free(): void;
}

/** How many threads have each place, by policy. */
const places = /* @__PURE__ */ new Map<string, Map<number, number>>();

function takeIndex(policy: Policy, asked: number | undefined): { place: number; free(): void } {
  const key = JSON.stringify(policy);
  const taken = places.get(key) ?? new Map<number, number>();
  places.set(key, taken);
  let place = asked ?? 0;
  while (asked === undefined && taken.has(place)) place++;
  taken.set(place, (taken.get(place) ?? 0) + 1);
  return {
    place,
    free(): void {
      const left = (taken.get(place) ?? 0) - 1;
      if (left > 0) taken.set(place, left);
      else taken.delete(place);
      if (taken.size === 0) places.delete(key);
    },
  };
}

/**
 * Keeps a place for a thread that comes later.
 *
 * @param policy The policy.
 * @param place The index of the place.
 * @returns How to give it free; once.
 */
export function keepPlace(policy: Policy, place: number): () => void {
  return takeIndex(policy, place).free;
}

/**
 * Checks the policy that a caller gave.
 *
 * @param policy What it gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The policy.
 * @throws {NumaError} `EINVAL`.
 */
export function checkPolicy(policy: unknown, action: string): Policy {
  if (policy instanceof Policy || typeof policy === "string") return Policy.from(policy);
  throw new NumaError("EINVAL", action, {
    why: `policy is ${show(policy)}`,
    fix: 'Give a Policy such as Policy.bindNode(0), or its text: "node:0".',
  });
}

/** The CPUs that a policy names by itself, whatever the process may use. */
function namedBy(machine: Topology, policy: Policy): CpuSet | undefined {
  const { cores, cpus, device, ids, node, place } = policy;
  if (device !== undefined) {
    return machine.cpusOfNode(deviceNode(machine, device, "place threads near a device"));
  }
  // Which cores the first ones of a place are depends on what the process may use.
  if (place !== undefined && ids !== undefined) {
    return cores === undefined ? allCpusOf(machine, place, ids) : undefined;
  }
  return cpus ?? (node === undefined ? undefined : machine.cpusOfNode(node));
}

/** The first cores of those places of a policy of which the process may use some. */
function coresLeft(
  machine: Topology,
  { place, ids, cores }: Policy,
): ThreadPlacement | undefined {
  if (place === undefined || ids === undefined || cores === undefined) return undefined;
  const left = [...ids].filter((id) => {
    return allCpusOf(machine, place, CpuSet.of(id)).intersection(machine.allowedCpus).size > 0;
  });
  if (left.length === 0) return undefined;
  const text = CpuSet.from(left).text;
  try {
    return plan(machine, Policy.from({ kind: "bindPlaces", place, ids: text, cores }), 1)[0];
  } catch (error) {
    // One of them has too few.
    if (error instanceof NumaError) return undefined;
    throw error;
  }
}

/** The place of a thread whose policy's own place is refused: on what is left of that, or on all CPUs. */
function secondBest(machine: Topology, policy: Policy): { place: ThreadPlacement; part: boolean } {
  const left = coresLeft(machine, policy);
  if (left !== undefined) return { place: left, part: true };
  const part = namedBy(machine, policy)?.intersection(machine.allowedCpus);
  const isPart = part !== undefined && part.size > 0;
  const next = isPart ? Policy.bindCpus(part) : Policy.unbound();
  return { place: plan(machine, next, 1)[0] as ThreadPlacement, part: isPart };
}

/** Whether a thread runs where it may when its policy's own place is refused. */
function willDoWithout(error: unknown, strengths: Required<BindStrengths>): error is NumaError {
  return error instanceof NumaError && error.code === "EACCES" &&
    strengths.cpus !== "require" && strengths.memory !== "require";
}

function wishFor(
  machine: Topology,
  policy: Policy,
  index: number,
  strengths: Required<BindStrengths>,
): { placement: ThreadPlacement; wish: Wish } {
  const isUnbound = policy.kind === "unbound";
  try {
    const placement = plan(machine, policy, index + 1)[index] as ThreadPlacement;
    const { cpus, node } = placement;
    const own = isUnbound ? undefined : cpus;
    return { placement, wish: { asked: own, cpus: own, node, strengths, refused: undefined } };
  } catch (error) {
    if (!willDoWithout(error, strengths)) throw error;
    // Without any CPU of its own there is nothing to fall back to: this throws again.
    const { place, part } = secondBest(machine, policy);
    const wish: Wish = {
      ...{ asked: namedBy(machine, policy), strengths, refused: error },
      ...{ cpus: part ? place.cpus : undefined, node: place.node },
    };
    return { placement: place, wish };
  }
}

/**
 * Chooses a place.
 *
 * @param policy The policy.
 * @param strengths How hard the thread is bound there.
 * @param index The index of the place in the policy, from 0; undefined for the lowest that is free.
 * @param action What was asked, as it follows "Cannot".
 * @returns The place, which is taken until it is freed.
 * @throws {NumaError} As `plan`; `ENODEV` when memory is required of a place that has no one node with memory.
 */
export function choosePlace(
  policy: Policy,
  strengths: Required<BindStrengths>,
  index: number | undefined,
  action: string,
): Chosen {
  if (index !== undefined) checkInteger(index, "place", 0, 65_534, action);
  const machine = topologyNow();
  const { place, free } = takeIndex(policy, index);
  try {
    const { placement, wish } = wishFor(machine, policy, place, strengths);
    if (strengths.memory === "require" && wish.node === undefined) {
      throw new NumaError("ENODEV", action, {
        why: `memory is required, and its CPUs ${placement.cpus} have no one node with memory`,
        fix: 'Give Policy.bindNode(n), or bind: { memory: "prefer" }.',
      });
    }
    return { place, placement, wish, free };
  } catch (error) {
    free();
    throw error;
  }
}

/**
 * Where the first threads of a policy go that take their places one after the other. No place is taken.
 *
 * @param machine The machine.
 * @param policy The policy.
 * @param strengths How hard the threads are bound there.
 * @param count How many threads; undefined for one for each place.
 * @param action What was asked, as it follows "Cannot".
 * @returns Their placements.
 * @throws {NumaError} As `plan`.
 */
export function placementsOf(
  machine: Topology,
  policy: Policy,
  strengths: Required<BindStrengths>,
  count: number | undefined,
  action: string,
): readonly ThreadPlacement[] {
  try {
    return plan(machine, policy, count ?? countPlaces(machine, policy, action));
  } catch (error) {
    if (!willDoWithout(error, strengths)) throw error;
    // What can be refused has one place.
    const { place } = secondBest(machine, policy);
    return Array.from({ length: count ?? 1 }, () => place);
  }
}
