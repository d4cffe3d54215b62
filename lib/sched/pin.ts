import { errnoError } from "../runtime/errno.ts";
import { native } from "../runtime/native.ts";
import type { CpuSet } from "../topology/cpu_set.ts";

/**
 * Where the pages of a worker's own heap come from.
 *
 * - `"prefer"`: its node while there is room, then others.
 * - `"bind"`: its node only. Beware: when the node is full, the kernel kills the process.
 * - `"default"`: wherever the thread runs at first touch.
 */
export type HeapPolicy = "prefer" | "bind" | "default";

const POLICIES: Readonly<Record<HeapPolicy, number>> = { default: 0, prefer: 1, bind: 2 };

/**
 * Pins the calling thread, exactly.
 *
 * @param cpus The CPUs it may run on from now on.
 * @throws {NumaError} `EACCES` when only a part of them can be had; the affinity is then as it was. `EINVAL` empty.
 */
export function pinThread(cpus: CpuSet): void {
  const mask = cpus.toMask();
  const action = `pin this thread to CPUs ${cpus}`;
  const result = mask.length === 0 ? -22 : native().calls.nk_affinity_set(mask, mask.length);
  if (result < 0) {
    throw errnoError(result, "sched_setaffinity", action, {
      fix: "`numakit topo` shows the CPUs this process may use.",
    });
  }
}

/**
 * Sets the memory policy of the calling thread's own allocations: its heap, its stacks, its buffers.
 *
 * @param policy The policy.
 * @param node The node it is about.
 * @throws {NumaError} `EPERM` where seccomp forbids it; `EINVAL` a node without memory.
 */
export function setHeapPolicy(policy: HeapPolicy, node: number): void {
  const result = native().calls.nk_policy_set(POLICIES[policy], node);
  if (result < 0) {
    throw errnoError(result, "set_mempolicy", `take this thread's memory from node ${node}`, {
      node,
    });
  }
}
