import { errnoError } from "../base/errno.ts";
import { NumaError } from "../base/error.ts";
import { show } from "../base/check.ts";
import { native } from "../runtime/native.ts";
import { CpuSet } from "./cpu_set.ts";
import { parseDescription } from "./parse_snapshot.ts";
import { Topology } from "./topology.ts";

const LIVE = 0;
const SYNTHETIC = 1;
const XML = 2;
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
    const action = "see this machine";
    const description = describe(LIVE, cString(""), action);
    const process = { affinity: ownAffinity(), quota: cpuQuota() };
    current = Topology.from(parseDescription(description, process));
  }
  return current;
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
  return Topology.from(parseDescription(describe(SYNTHETIC, cString(text), action), null));
}

/**
 * Reads a machine from an XML file that hwloc's `lstopo --of xml` or `hwloc-gather-topology` wrote.
 *
 * @param path The file.
 * @returns Its topology.
 * @throws {NumaError} `ENODEV` no such file; `EINVAL` not an hwloc XML file.
 *
 * @example
 * ```ts
 * import { NumaError, xmlTopology } from "@numakit/numakit";
 *
 * try {
 *   // On that machine: lstopo --of xml server.xml
 *   console.log(xmlTopology("server.xml").summary());
 * } catch (error) {
 *   if (!(error instanceof NumaError)) throw error;
 *   console.error(error.message);
 * }
 * ```
 */
export function xmlTopology(path: string): Topology {
  const action = `read the machine in ${show(path)}`;
  const text = checkText(path, "path", action);
  return Topology.from(parseDescription(describe(XML, cString(text), action), null));
}
