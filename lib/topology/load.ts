import { errnoError } from "../base/errno.ts";
import { NumaError } from "../base/error.ts";
import { show } from "../base/check.ts";
import { native } from "../runtime/native.ts";
import { CpuSet } from "./cpu_set.ts";
import { parseDescription } from "./parse_snapshot.ts";
import { describeOneNode, hasReadableNodes } from "./one_node.ts";
import { standInVariable } from "./stand_in.ts";
import { checkSynthetic } from "./synthetic.ts";
import { Topology } from "./topology.ts";
import { readTextFile } from "./xml/read_file.ts";
import { readXml } from "./xml/read_xml.ts";

const LIVE = 0;
const SYNTHETIC = 1;
/** The longest mask of CPUs, in words of 64 bits: `NK_MAX_MASK_WORDS`. */
export const MASK_WORDS = 1024;
const FIRST_CAPACITY = 1 << 16;

/** A text as C wants it: UTF-8 with a NUL at its end. */
function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** The helper's description of a machine, as JSON. */
function describe(source: number, text: Uint8Array, action: string): string {
  const { nk_topology_export } = native().calls;
  let out = new Uint8Array(FIRST_CAPACITY);
  for (;;) {
    const needed = nk_topology_export(source, text, out, out.length);
    if (needed < 0) {
      const fix = source === LIVE ? {} : { fix: "`lstopo` of hwloc shows whether it is one." };
      const why = source === LIVE ? {} : { why: "hwloc does not recognize it as a machine" };
      throw errnoError(needed, "nk_topology_export", action, { ...why, ...fix });
    }
    if (needed <= out.length) return new TextDecoder().decode(out.subarray(0, needed));
    out = new Uint8Array(needed);
  }
}

function checkText(value: unknown, name: string, action: string): string {
  if (typeof value === "string" && value.length > 0 && !value.includes("\0")) return value;
  throw new NumaError("EINVAL", action, {
    why: `the ${name} is ${show(value)}`,
    fix: "Give a text that is not empty.",
  });
}

/**
 * The CPUs the calling thread may run on, asked of the kernel now.
 *
 * @returns The affinity mask.
 * @throws {NumaError} What loading the C helper throws.
 */
export function threadAffinity(): CpuSet {
  const mask = new BigUint64Array(MASK_WORDS);
  const words = native().calls.nk_affinity_get(mask, MASK_WORDS);
  if (words < 0) throw errnoError(words, "nk_affinity_get", "read this thread's affinity");
  return CpuSet.fromMask(mask.subarray(0, words));
}

function cpuQuota(): { quotaUs: number; periodUs: number } | null {
  const out = new BigUint64Array(2);
  const result = native().calls.nk_cpu_quota(new Uint8Array(1), out);
  if (result < 0) throw errnoError(result, "nk_cpu_quota", "read the cgroup's CPU quota");
  return result === 0 ? null : { quotaUs: Number(out[0]), periodUs: Number(out[1]) };
}

let current: Topology | undefined;
let ownAffinity: () => CpuSet = threadAffinity;

/**
 * Says what the calling thread may use of the machine, where that is more than its own affinity: numakit has pinned it.
 *
 * @param read Tells it, when a topology is made.
 */
export function seeAffinity(read: () => CpuSet): void {
  ownAffinity = read;
}

/**
 * Returns this machine, and what this process may use of it.
 *
 * The first call in a thread asks hwloc and the kernel (a few milliseconds); later calls give the same object. A
 * worker started with `launch` has its parent's. What numakit pins a thread to, by `launch` or `pin`, does not narrow
 * what it sees.
 *
 * @param options `refresh: true` asks again.
 * @returns An immutable topology.
 * @throws {NumaError} What loading the C helper throws.
 *
 * @example
 * ```ts
 * import { topology } from "@numakit/numakit";
 *
 * console.log(topology().summary());
 * ```
 */
export function topology(options: { readonly refresh?: boolean } = {}): Topology {
  if (current === undefined || options.refresh === true) {
    current = readMachine();
  }
  return current;
}

function readMachine(): Topology {
  const action = "see this machine";
  const running = threadAffinity();
  const description = hasReadableNodes()
    ? describe(LIVE, cString(""), action)
    : describeOneNode(running, action);
  const process = {
    ...{ affinity: ownAffinity(), quota: cpuQuota(), running },
    variable: standInVariable,
  };
  return Topology.from(parseDescription(description, process));
}

/**
 * This machine, read again if the kernel lets this thread run on other CPUs than when it was read: a cpuset was narrowed
 * or widened, CPUs went offline or came back, somebody used `taskset`. Plans are made of it, so that none fails for a
 * machine that was another one.
 *
 * Cost: two system calls where nothing has changed.
 *
 * @param quota Whether a CPU quota that has changed counts, too: it is read from files.
 * @returns What `topology()` gives from now on.
 * @throws {NumaError} As `topology`.
 */
export function topologyNow(quota: boolean = false): Topology {
  const known = topology();
  const { source, allowed } = known.snapshot;
  // One that was put in this machine's place does not change.
  if (source !== "live") return known;
  const isSame = allowed.affinity === ownAffinity().text &&
    (!quota || JSON.stringify(allowed.quota) === JSON.stringify(cpuQuota()));
  return isSame ? known : topology({ refresh: true });
}

/**
 * Makes this thread see a topology as this machine's: what a worker is told by its parent.
 *
 * @param inherited The parent's.
 */
export function inheritTopology(inherited: Topology): void {
  current = inherited;
}

/**
 * Creates a machine from an hwloc synthetic description, for tests and to try a policy on a machine that you do not
 * have.
 *
 * @param description For example `"pack:2 numa:2 l3:4 core:8 pu:2"`.
 * @returns Its topology; everything in it is allowed.
 * @throws {NumaError} `EINVAL` if hwloc does not accept it.
 *
 * @example
 * ```ts
 * import { plan, Policy, syntheticTopology } from "@numakit/numakit";
 *
 * const machine = syntheticTopology("pack:2 numa:1 core:4 pu:2");
 * console.log(plan(machine, Policy.scatter(), 4).map((place) => `${place.cpus}`));
 * ```
 */
export function syntheticTopology(description: string): Topology {
  const action = `make a machine of ${show(description)}`;
  const text = checkText(description, "description", action);
  checkSynthetic(text, action);
  return Topology.from(parseDescription(describe(SYNTHETIC, cString(text), action), null, action));
}

/**
 * Reads a machine from an XML file that hwloc's `lstopo --of xml` or `hwloc-gather-topology` wrote, in format 1, 2 or 3.
 *
 * It is read without hwloc, and without the C helper. numakit reads files of up to 64 MiB with 32,768 objects, 2,048 in
 * each, and ids up to 65,535.
 *
 * @param path The file.
 * @returns Its topology; everything that the file allows can be used.
 * @throws {NumaError} `ENODEV` no such file; `EPERM` it may not be read; `EINVAL` it is damaged, not hwloc's, or beyond
 * numakit's limits: the message names the line.
 *
 * @example
 * ```ts
 * import { plan, Policy, xmlTopology } from "@numakit/numakit";
 *
 * // lstopo --of xml server.xml
 * export function firstPlaces(): string[] {
 *   return plan(xmlTopology("server.xml"), Policy.scatter(), 4).map(({ cpus }) => `${cpus}`);
 * }
 * ```
 */
export function xmlTopology(path: string): Topology {
  const action = `read the machine in ${show(path)}`;
  const text = readTextFile(checkText(path, "path", action), action);
  return Topology.from(readXml(text, action));
}
