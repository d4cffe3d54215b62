/**
 * Why the helper refused, told with the system's own numbers and the line that mends it.
 *
 * @module
 */
import { formatBytes } from "../../base/bytes.ts";
import { ERRNO, errnoError } from "../../base/errno.ts";
import type { NumaError, NumaErrorDetails } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { MAX_NODES } from "../../topology/nodes.ts";
import { HUGE, pageFormat, type PageKind } from "./pages.ts";

const {
  ENOENT,
  ENOMEM,
  EACCES,
  EFAULT,
  ENODEV,
  EINVAL,
  ENOLCK,
  ENOSYS,
  EUSERS,
  ENOTSUP,
} = ERRNO;

/** What was refused. */
export interface Refused {
  /** The node. */
  readonly node: number;
  /** The pages. */
  readonly pages: PageKind;
  /** Bytes that were to get pages. */
  readonly bytes: number;
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
  /** Which function of the helper refused. */
  readonly syscall: string;
}

/** The pool of hugepages that a request needs, and how to fill it. */
function explainPool(request: Omit<Refused, "syscall">): Partial<NumaErrorDetails> {
  const { node, bytes } = request;
  const format = pageFormat(request.pages);
  const pageKib = format.pageBytes / 1024;
  const file = `/sys/devices/system/node/node${node}/hugepages/hugepages-${pageKib}kB/nr_hugepages`;
  const pool = new BigUint64Array(2);
  const needed = Math.ceil(bytes / format.pageBytes);
  const result = native().calls.nk_node_hugepages(node, format.pageBytes, pool);
  if (result === -ENOENT) {
    return {
      why: `the kernel has no hugepages of ${formatBytes(format.pageBytes)}`,
      fix: `Boot it with hugepagesz=${pageKib / 1024}M, or choose other pages.`,
    };
  }
  const [total, free] = [Number(pool[0]), Number(pool[1])];
  const pages = `${needed === 1 ? "hugepage" : "hugepages"} of ${formatBytes(format.pageBytes)}`;
  return {
    why: `it needs ${needed} ${pages} and node ${node} has ${free} free of ${total}`,
    fix: `As root: \`echo ${total - free + needed} > ${file}\`, or let it use others as well: ` +
      `pages: ["${pageKib === 2048 ? "2m" : "1g"}", "4k"].`,
  };
}

function explainRoom(request: Pick<Refused, "node">): Partial<NumaErrorDetails> {
  const { node } = request;
  const available = new BigUint64Array(2);
  const limit = new BigUint64Array(2);
  const { nk_node_available, nk_memory_limit } = native().calls;
  const got = nk_node_available(node, available);
  if (got < 0) return {};
  const [onNode, inGroup] = available as unknown as [bigint, bigint];
  const limited = got === 2 && inGroup < onNode &&
    nk_memory_limit(new Uint8Array(1), limit) === 2;
  return {
    why: limited
      ? `the cgroup's memory limit of ${formatBytes(Number(limit[1]))} leaves ` +
        `${formatBytes(Number(inGroup))} after a margin for the runtime`
      : `node ${node} has ${
        formatBytes(Number(onNode))
      } available: some of its free memory is reserved`,
    fix:
      "Ask for less, use another node, or free memory there: touching more than there is would " +
      "call the OOM killer.",
  };
}

function hasMemory(node: number): boolean {
  const memory = new BigUint64Array(3);
  return native().calls.nk_node_memory(node, memory) > 0 && Number(memory[0]) > 0;
}

function explainNode(request: Refused): Partial<NumaErrorDetails> {
  const nodes = Array.from({ length: MAX_NODES }, (_, node) => node).filter(hasMemory);
  return {
    why: `node ${request.node} does not exist or has no memory; nodes with memory: ` +
      nodes.join(", "),
    fix: "Choose one of them.",
  };
}

const LOCK_FIX: Partial<NumaErrorDetails> = {
  fix: "Raise the limit (`ulimit -l unlimited`, LimitMEMLOCK=infinity in systemd, docker run " +
    "--ulimit memlock=-1), or grant CAP_IPC_LOCK.",
};

/**
 * The error of a helper's function that could not give a node's memory.
 *
 * @param result Its `-errno`.
 * @param request What was asked.
 * @returns The error.
 */
export function explainCreate(result: number, request: Refused): NumaError {
  const { node, action } = request;
  const format = pageFormat(request.pages);
  const known: Partial<NumaErrorDetails> = { node };
  const details: Record<number, () => Partial<NumaErrorDetails>> = {
    [ENODEV]: () => explainNode(request),
    [ENOMEM]: () => format.kind === HUGE ? explainPool(request) : explainRoom(request),
    [EINVAL]: () => format.kind === HUGE ? explainPool(request) : {},
    [EACCES]: () => ({
      why: `node ${node} is not among the memory nodes of this process's cpuset`,
      fix: "Widen cpuset.mems of its cgroup, or choose a node in it (`numakit topo` lists them).",
    }),
    [ENOLCK]: () => LOCK_FIX,
    [EUSERS]: () => ({
      why: "this process may not map more: numakit has used its share of the mappings or addresses",
      fix:
        "Make fewer and larger arenas, or raise the limits (`sysctl vm.max_map_count`, of which half " +
        "is for arenas; `ulimit -v`).",
    }),
    [ENOSYS]: () => ({
      why: "this kernel has no NUMA memory policy, or is older than Linux 5.14",
      fix: "Use Linux 5.14 or later, built with CONFIG_NUMA.",
    }),
    [ENOTSUP]: () => ({
      why: "transparent hugepages are switched off",
      fix: "As root: `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`.",
    }),
  };
  // A node that is not there is outside of any cpuset, too.
  const errno = -result === EACCES && !hasMemory(node) ? ENODEV : -result;
  // A page size the kernel does not have is the same to a caller as a pool without pages.
  const code = errno === EINVAL && format.kind === HUGE ? -ENOTSUP : -errno;
  return errnoError(code, request.syscall, action, { ...known, ...details[errno]?.() });
}

/**
 * The error of a refused `nk_mapping_populate`.
 *
 * @param result Its `-errno`.
 * @param request What was asked.
 * @param doneBytes Bytes populated before.
 * @returns The error.
 */
export function explainPopulate(
  result: number,
  request: Omit<Refused, "syscall">,
  doneBytes: number,
): NumaError {
  const { node, action } = request;
  const format = pageFormat(request.pages);
  const details = format.kind === HUGE && -result !== ENOLCK
    ? explainPool(request)
    : -result === ENOMEM || -result === EFAULT
    ? explainRoom(request)
    : -result === ENOLCK
    ? LOCK_FIX
    : {};
  const why = details.why === undefined
    ? {}
    : { why: `${details.why} (stopped after ${formatBytes(doneBytes)})` };
  return errnoError(result, "nk_mapping_populate", action, { node, ...details, ...why });
}
