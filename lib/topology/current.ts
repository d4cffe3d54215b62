/**
 * Where this thread runs now.
 *
 * The kernel keeps the CPU (and since Linux 6.3 the node) of every thread up to date in its rseq area, which glibc
 * 2.35 and later registers. Read through a typed array that is one load, without a system call or a foreign call.
 * It has to be `Atomics.load`: engines hoist plain loads out of loops, and the word changes under them.
 *
 * @module
 */
import { errnoError } from "../base/errno.ts";
import { native } from "../runtime/native.ts";
import { topology } from "./load.ts";

/** struct rseq in 32-bit words: cpu_id at byte 4, node_id at byte 20. */
const CPU_ID = 1;
const NODE_ID = 5;
const RSEQ_BYTES = 32;
const BYTES_WITH_NODE = 24;

/** This thread's rseq area: undefined before the first look, null where there is none. */
let area: Uint32Array | null | undefined;
/** Whether the kernel keeps node_id there. */
let nodeInArea = false;

function findArea(): Uint32Array | null {
  const { calls, view } = native();
  const out = new BigUint64Array(1);
  const bytes = calls.nk_thread_rseq(out);
  nodeInArea = bytes >= BYTES_WITH_NODE;
  return bytes < 0 ? null : new Uint32Array(view(Number(out[0]), RSEQ_BYTES));
}

function askCpu(): number {
  const cpu = native().calls.nk_cpu_current();
  if (cpu < 0) throw errnoError(cpu, "nk_cpu_current", "ask which CPU this thread runs on");
  return cpu;
}

function firstCpu(): number {
  if (area === undefined) area = findArea();
  return area === null ? askCpu() : Atomics.load(area, CPU_ID);
}

function firstNode(): number {
  if (area === undefined) area = findArea();
  return area !== null && nodeInArea
    ? Atomics.load(area, NODE_ID)
    : topology().nodeOfCpu(firstCpu());
}

/**
 * The CPU this thread runs on, as the OS numbers it.
 *
 * Cost: one atomic load (2 to 15 ns) where glibc registers an rseq area, else one foreign call.
 *
 * @returns The CPU at this moment: a thread that is not pinned may be moved at any time.
 * @throws {NumaError} What loading the C helper throws.
 *
 * @example
 * ```ts
 * import { currentCpu, topology } from "@numakit/numakit";
 *
 * const cpu = currentCpu();
 * console.log(cpu, topology().nodeOfCpu(cpu)); // 5 0
 * ```
 */
export function currentCpu(): number {
  return area ? Atomics.load(area, CPU_ID) : firstCpu();
}

/**
 * The NUMA node of the CPU this thread runs on, as the OS numbers it.
 *
 * Cost: as {@linkcode currentCpu}; before Linux 6.3 one table look-up more.
 *
 * @returns The node at this moment.
 * @throws {NumaError} What loading the C helper throws.
 *
 * @example
 * ```ts
 * import { Arena, currentNode } from "@numakit/numakit";
 *
 * using arena = Arena.create({ node: currentNode(), size: "1 MiB" });
 * console.log(arena.node);
 * ```
 */
export function currentNode(): number {
  return area && nodeInArea ? Atomics.load(area, NODE_ID) : firstNode();
}
