/**
 * The machine where hwloc must not look: containers mask or empty `/sys/devices/system/node`, and hwloc aborts the
 * process there (its `assert`, seen in 2.9). Such a machine is read as one node, of what the kernel itself says.
 *
 * @module
 */
import { NumaError } from "../base/error.ts";
import { builtin } from "../runtime/builtin.ts";
import { native } from "../runtime/native.ts";
import { CpuSet } from "./cpu_set.ts";
import { aspects, lookAtMachine } from "./look.ts";

/** Where the kernel lists its nodes. */
const NODES = "/sys/devices/system/node";

/** A list in kernel notation; undefined for what is none, or empty. */
function readList(text: string | undefined): CpuSet | undefined {
  if (text === undefined) return undefined;
  try {
    const set = CpuSet.parse(text);
    return set.size > 0 ? set : undefined;
  } catch {
    return undefined; // A made-up file.
  }
}

/** Only what is certainly not there: a runtime's permissions may hide it from JavaScript, and not from hwloc. */
function isAbsent(path: string): boolean {
  try {
    builtin("node:fs").statSync(path);
    return false;
  } catch (error) {
    return (error as { code?: unknown }).code === "ENOENT";
  }
}

/** The helper's two or three numbers of a node; undefined where it has none. */
function numbers(name: "nk_node_memory" | "nk_node_available"): number[] | undefined {
  const out = new BigUint64Array(3);
  const got = native().calls[name](0, out);
  return got < 0 ? undefined : Array.from(out, Number);
}

/**
 * Whether hwloc can read this machine's nodes. Kernels without NUMA have no such folder at all, which it knows.
 *
 * @returns False where it might end the process.
 * @throws {NumaError} What looking at the machine gave.
 */
export function hasReadableNodes(): boolean {
  const nodes = readList(aspects(lookAtMachine()).get("nodes"));
  if (nodes === undefined) return isAbsent(NODES);
  const out = new BigUint64Array(3);
  return [...nodes].every((node) => native().calls.nk_node_memory(node, out) > 0);
}

/**
 * This machine as one node.
 *
 * @param affinity The CPUs that the kernel lets this thread run on.
 * @param action What was asked, as it follows "Cannot".
 * @returns A description as the helper's, as JSON.
 * @throws {NumaError} `ENODEV` when it has several nodes, or nothing says how much memory there is; it names the files.
 */
export function describeOneNode(affinity: CpuSet, action: string): string {
  const look = aspects(lookAtMachine());
  const memory = numbers("nk_node_memory");
  const others = readList(look.get("memory"))?.difference(CpuSet.of(0));
  if (memory === undefined || (others !== undefined && others.size > 0)) {
    throw new NumaError("ENODEV", action, {
      why: `${NODES} is masked, empty or damaged, and ` +
        (memory === undefined
          ? "/proc/meminfo is missing, or /proc/zoneinfo lists several nodes"
          : `/proc/self/status allows memory of node ${others}`),
      fix: `Show the kernel's ${NODES} to the container: which CPUs and memory are on which node ` +
        "is said nowhere else.",
    });
  }
  const [bytes, freeBytes] = memory;
  const available = numbers("nk_node_available");
  const room = available && Math.min(available[0] as number, available[1] as number);
  const cpus = (readList(look.get("cpus")) ?? affinity).union(affinity).text;
  return JSON.stringify({
    ...{ hwloc: "none", source: "live", cpus, allowedCpus: cpus, allowedNodes: "0" },
    nodes: [{ id: 0, cpus, bytes, freeBytes, availableBytes: room, subtype: undefined }],
    ...{ distances: null, attributes: [] },
  });
}
