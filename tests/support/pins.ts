/**
 * What tests of places do to the calling thread behind numakit's back, as an application or `taskset` would.
 */
import { CpuSet, topology } from "../../mod.ts";
import { native } from "../../lib/runtime/native.ts";
import { threadAffinity } from "../../lib/topology/load.ts";

/** Two different CPUs that this process may use: `undefined` where it has one only. */
export const two: readonly [CpuSet, CpuSet] | undefined = twoCpus();

/** Why tests that need two CPUs are skipped. */
export const oneCpu: string | false = two === undefined && "this process may use one CPU only";

function twoCpus(): readonly [CpuSet, CpuSet] | undefined {
  const { first, last } = topology().allowedCpus;
  if (first === undefined || last === undefined || first === last) return undefined;
  return [CpuSet.of(first), CpuSet.of(last)];
}

/** The CPUs that the calling thread may run on, by the kernel's word. */
export function cpusNow(): string {
  return threadAffinity().toString();
}

/** The calling thread's memory policy: the kernel's mode, and its nodes. */
export function policyNow(): string {
  const saved = new BigUint64Array(17);
  const result = native().calls.nk_policy_save(saved);
  if (result < 0) throw new Error(`get_mempolicy gave ${result}`);
  return `mode ${saved[0]} of nodes ${CpuSet.fromMask(saved.subarray(1))}`;
}

/** Interleaves the calling thread's memory over node 0. Returns how to undo it. */
export function interleaveSelf(): () => void {
  const { nk_policy_save, nk_policy_restore } = native().calls;
  const before = new BigUint64Array(17);
  const saved = new BigUint64Array(17);
  if (nk_policy_save(before) < 0) throw new Error("no policy can be saved");
  saved.set([3n, 1n]);
  if (nk_policy_restore(saved) < 0) throw new Error("no policy can be set");
  return () => void nk_policy_restore(before);
}
