import type { BindStrengths } from "../binding/binding.ts";
import { choosePlace, type Chosen } from "../policies/chosen.ts";
import { spareHelpers } from "../helpers.ts";
import type { Policy } from "../policies/policy.ts";

/** A thread's place in its policy, taken until it is freed. */
export interface Seat extends Chosen {
  /** The policy. */
  readonly policy: Policy;
}

/** Whether two policies are the same one. */
export function isSamePolicy(one: Policy, other: Policy): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/**
 * Takes a place of a policy. As long as a thread is pinned to its CPUs, the runtime's own threads are kept off them.
 *
 * @param policy The policy.
 * @param strengths How hard the thread is bound there.
 * @param index The index of the place; undefined for the lowest that is free.
 * @param action What was asked, as it follows "Cannot".
 * @returns The seat. Freeing it twice has no further effect.
 * @throws {NumaError} As `choosePlace`.
 */
export function takeSeat(
  policy: Policy,
  strengths: Required<BindStrengths>,
  index: number | undefined,
  action: string,
): Seat {
  const chosen = choosePlace(policy, strengths, index, action);
  const isPinned = chosen.wish.cpus !== undefined && strengths.cpus !== "off";
  const spared = isPinned ? spareHelpers() : undefined;
  let isFree = false;
  return {
    ...chosen,
    policy,
    free(): void {
      if (isFree) return;
      isFree = true;
      chosen.free();
      spared?.();
    },
  };
}
