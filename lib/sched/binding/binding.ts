/**
 * How hard a thread is bound to its place, and what came of it.
 *
 * @module
 */
import { checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { CpuSet } from "../../topology/cpu_set.ts";

/**
 * How hard a thread is bound.
 *
 * - `"require"`: it is where it was asked to be, or it does not run at all: the call throws, or `join()` rejects.
 * - `"prefer"`: where the system refuses that, it runs anyway, and the report says what was refused and why.
 * - `"off"`: it is not bound. A new thread is where it would be without numakit; with `pin`, the thread stays as it is.
 */
export type BindStrength = "require" | "prefer" | "off";

/** How hard a thread is bound to its CPUs and to its memory, each apart. */
export interface BindStrengths {
  /**
   * To the CPUs of its place. With `"prefer"` it is pinned to those of them that it may use, if there are any. Default:
   * `"require"`.
   */
  readonly cpus?: BindStrength;
  /**
   * To the node of its place, from which the pages come that it allocates: its heap, its stack, its buffers. `"prefer"`
   * takes others where that node is full. Caution: with `"require"` the kernel kills the process when the node is full.
   * Default: `"prefer"`.
   */
  readonly memory?: BindStrength;
}

/** How a thread is bound to CPUs. */
export interface CpuBinding {
  /** How hard that was asked for. */
  readonly strength: BindStrength;
  /** The CPUs that its policy asked for; undefined where nothing was asked (`"off"`, `Policy.unbound()`). */
  readonly asked: CpuSet | undefined;
  /** The CPUs that it may run on, as the kernel said when it had been bound. */
  readonly got: CpuSet;
  /** Why `got` is not what was asked, and what to do about it; undefined where it is. */
  readonly refused: NumaError | undefined;
}

/** How a thread is bound to the memory of a node. */
export interface MemoryBinding {
  /** How hard that was asked for. */
  readonly strength: BindStrength;
  /** The node that was asked for; undefined where none was (`"off"`, or CPUs that have no one node). */
  readonly asked: number | undefined;
  /** The node of the policy that it got, as the kernel said then; undefined where it got none. */
  readonly got: number | undefined;
  /** Why it was refused, and what to do about it; undefined where it was not. */
  readonly refused: NumaError | undefined;
}

/** What came of binding a thread. */
export interface ThreadBinding {
  /** To CPUs. */
  readonly cpus: CpuBinding;
  /** To memory. */
  readonly memory: MemoryBinding;
}

const STRENGTHS: readonly unknown[] = ["require", "prefer", "off"];
const EXAMPLE = '{ cpus: "require", memory: "prefer" }';

function checkStrength(value: unknown, name: string, action: string): BindStrength {
  if (STRENGTHS.includes(value)) return value as BindStrength;
  throw new NumaError("EINVAL", action, {
    why: `bind.${name} is ${show(value)}`,
    fix: 'Give "require", "prefer" or "off".',
  });
}

/**
 * Checks the option `bind`.
 *
 * @param bind What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns Both strengths.
 * @throws {NumaError} `EINVAL`.
 */
export function checkStrengths(bind: unknown, action: string): Required<BindStrengths> {
  checkOptions(bind, EXAMPLE, action);
  checkOptionNames(bind as object, ["cpus", "memory"], action);
  const { cpus = "require", memory = "prefer" } = bind as { cpus?: unknown; memory?: unknown };
  return {
    cpus: checkStrength(cpus, "cpus", action),
    memory: checkStrength(memory, "memory", action),
  };
}
