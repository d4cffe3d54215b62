import { errnoError } from "../base/errno.ts";
import { NumaError } from "../base/error.ts";
import { native } from "../runtime/native.ts";
import { CpuSet } from "../topology/cpu_set.ts";
import { threadAffinity } from "../topology/load.ts";

/**
 * Where the pages of a worker's own heap come from.
 *
 * - `"prefer"`: its node while there is room, then others. If the system refuses that, as a container's seccomp profile
 *   does, the thread runs anyway, and `Thread.heap` says so.
 * - `"bind"`: its node only, or `join()` rejects. Caution: when the node is full, the kernel kills the process.
 * - `"default"`: wherever the thread runs at first touch. Nothing is asked of the system.
 */
export type HeapPolicy = "prefer" | "bind" | "default";

/** The result of the {@linkcode HeapPolicy} that a thread was launched with. */
export interface HeapReport {
  /** What was asked for. */
  readonly asked: HeapPolicy;
  /** What the thread has: what was asked for, or `"default"` where it was refused or the thread's CPUs have no one node. */
  readonly got: HeapPolicy;
  /** The node that its heap comes from; undefined for `"default"`. */
  readonly node: number | undefined;
  /** Why it was refused, and what to do about it; undefined when it was not. */
  readonly refused: NumaError | undefined;
}

const POLICIES: Readonly<Record<HeapPolicy, number>> = { default: 0, prefer: 1, bind: 2 };

/** What numakit has done to the calling thread. */
const self: {
  /** The CPUs that the process began with, as far as numakit knows. */
  home: CpuSet | undefined;
  isPinned: boolean;
  heap: HeapPolicy;
  node: number;
} = { home: undefined, isPinned: false, heap: "default", node: -1 };

/** What a thread tells those that it launches about its own place: they inherit from it. */
export interface Inherited {
  /** The CPUs that the process began with, in kernel notation. */
  readonly home: string;
  /** Whether numakit has pinned the launching thread. */
  readonly isPinned: boolean;
  /** Whether numakit has given the launching thread a memory policy. */
  readonly hasPolicy: boolean;
}

/** The CPUs that the process began with: those of its first thread that launches one. */
export function homeAffinity(): CpuSet {
  return self.home ??= threadAffinity();
}

/** Whether numakit has pinned the calling thread. */
export function isPinned(): boolean {
  return self.isPinned;
}

/** What threads that this one launches have to know. */
export function bequeath(): Inherited {
  return {
    home: homeAffinity().toString(),
    isPinned: self.isPinned,
    hasPolicy: self.heap !== "default",
  };
}

/**
 * Puts a new thread where it was launched to.
 *
 * @param cpus The CPUs it is pinned to; null for a thread that is not pinned, also where its launcher is.
 * @param inherited What its launcher told.
 * @throws {NumaError} As {@linkcode pinThread}.
 */
export function takePlace(cpus: CpuSet | null, inherited: Inherited): void {
  self.home = CpuSet.parse(inherited.home);
  if (cpus !== null) pinThread(cpus);
  else if (inherited.isPinned) pinThread(self.home);
  self.isPinned = cpus !== null;
}

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

function setPolicy(policy: HeapPolicy, node: number): void {
  const result = native().calls.nk_policy_set(POLICIES[policy], node);
  if (result >= 0) return;
  throw errnoError(result, "set_mempolicy", `take this thread's memory from node ${node}`, {
    node,
  });
}

/**
 * Sets the memory policy of a new thread's own allocations: its heap, its stacks, its buffers.
 *
 * @param asked The policy.
 * @param node The node it is about; null when the thread's CPUs have no one node.
 * @param inherited What its launcher told.
 * @returns What came of it.
 * @throws {NumaError} Only for `"bind"`: `EPERM` where seccomp forbids it; `EINVAL` a node without memory.
 */
export function takeHeap(asked: HeapPolicy, node: number | null, inherited: Inherited): HeapReport {
  const none = { asked, got: "default", node: undefined, refused: undefined } as const;
  if (asked === "default" || node === null) {
    // A thread is born with its launcher's policy.
    if (inherited.hasPolicy) setPolicy("default", -1);
    return none;
  }
  try {
    setPolicy(asked, node);
  } catch (error) {
    if (asked === "bind" || !(error instanceof NumaError)) throw error;
    return { ...none, refused: error };
  }
  self.heap = asked;
  self.node = node;
  return { asked, got: asked, node, refused: undefined };
}

/**
 * Runs a function while the calling thread has all CPUs that the process began with and the system's default memory
 * policy, and restores the thread's own afterwards. Use it to start what inherits them, such as child processes.
 *
 * Only what happens before the function returns is affected, so start the process in it and wait for it outside. In a
 * thread that numakit has not pinned this just calls the function.
 *
 * @typeParam Result What the function returns.
 * @param call What is to be done, synchronously.
 * @returns What it returned.
 * @throws What it throws. {@linkcode NumaError} `EACCES` when some of those CPUs may not be used any more; the thread is
 * then where it was.
 *
 * @example
 * ```ts
 * import { spawnSync } from "node:child_process";
 * import { unpinned, worker } from "@numakit/numakit";
 *
 * export default worker((file: string) => unpinned(() => spawnSync("gzip", [file]).status));
 * ```
 */
export function unpinned<Result>(call: () => Result): Result {
  const { home, heap, node } = self;
  const before = self.isPinned && home !== undefined ? threadAffinity() : undefined;
  if (before !== undefined && home !== undefined) pinThread(home);
  try {
    if (heap !== "default") setPolicy("default", -1);
    return call();
  } finally {
    try {
      if (heap !== "default") setPolicy(heap, node);
    } finally {
      if (before !== undefined) pinThread(before);
    }
  }
}
