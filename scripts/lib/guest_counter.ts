/**
 * The arguments for the cache-line counter (native/counter) in a guest.
 */
import { spawnSync } from "node:child_process";
import { cpuPlaces, type GuestShape, ShapeError } from "./numa_guest.ts";

/** Sets and ways of caches. */
interface CacheSize {
  readonly sets: number;
  readonly ways: number;
}

/** The caches of real machines: a core's L2, and the L3 of a domain. `none`: without limit. */
const CACHES: Readonly<Record<string, { readonly l2: CacheSize; readonly l3: CacheSize } | null>> =
  {
    // 1.25 MiB and 60 MiB.
    "xeon-8380": { l2: { sets: 1024, ways: 20 }, l3: { sets: 81_920, ways: 12 } },
    // 512 KiB and 32 MiB.
    "epyc-7763": { l2: { sets: 1024, ways: 8 }, l3: { sets: 32_768, ways: 16 } },
    none: null,
  };

/** The names that `--caches` takes. */
export const CACHE_NAMES: readonly string[] = Object.keys(CACHES);

/** What the counter's directory has room for. */
const MAX_COUNTED = { CPUs: 32, "L3 domains": 16, nodes: 16 } as const;

/** The QEMU that the counter knows: what it adds to a physical address is written nowhere. */
const QEMU = "7.2";

/**
 * Why the counter cannot count with a QEMU.
 *
 * @param qemu The program.
 * @returns A sentence; undefined when it can.
 */
export function unknownQemu(qemu: string): string | undefined {
  const { stdout } = spawnSync(qemu, ["--version"], { encoding: "utf8" });
  const [version = "of no version"] = /\d+\.\d+/.exec(stdout) ?? [];
  return version === QEMU
    ? undefined
    : `--count: lines are counted with QEMU ${QEMU} (Debian 12), and this one is ${version}`;
}

/** What counts cache lines in a guest. */
export interface Counter {
  /** The plugin. */
  readonly plugin: string;
  /** The file that it writes. */
  readonly out: string;
  /** Whose caches: one of {@linkcode CACHE_NAMES}. */
  readonly caches: string;
  /** Whether lines from other nodes are also counted page by page. */
  readonly pages: boolean;
}

/**
 * The node of a CPU.
 *
 * @param shape The machine.
 * @param cpu The CPU's number.
 * @returns The number of its node, which is that of its socket.
 */
export function nodeOfCpu(shape: GuestShape, cpu: number): number {
  return cpuPlaces(shape)[cpu]?.socket ?? -1;
}

/**
 * QEMU's arguments for the counter, which tell it where each CPU and each node's memory is.
 *
 * @param shape The machine.
 * @param counter What counts.
 * @returns The arguments.
 * @throws {ShapeError} When it cannot count in such a machine.
 */
export function counterArguments(
  shape: GuestShape,
  { plugin, out, caches, pages }: Counter,
): string[] {
  const { l3PerNode, threadsPerCore, nodes, arch } = shape;
  const cpus = cpuPlaces(shape);
  const domains = nodes.filter((node) => node.cpus > 0).length * l3PerNode;
  const sizes = Object.hasOwn(CACHES, caches) ? CACHES[caches] : undefined;
  if (sizes === undefined) {
    throw new ShapeError(`--caches "${caches}": it has to be one of ${CACHE_NAMES.join(", ")}`);
  }
  if (arch !== "x64") throw new ShapeError("--count: lines are counted on x64 only");
  const counted = { CPUs: cpus.length, "L3 domains": domains, nodes: nodes.length };
  for (const [what, most] of Object.entries(MAX_COUNTED)) {
    const has = counted[what as keyof typeof counted];
    if (has <= most) continue;
    throw new ShapeError(
      `--count: lines are counted in machines with at most ${most} ${what}, and this one has ${has}`,
    );
  }
  const size = ({ sets, ways }: CacheSize): string => `${sets}x${ways}`;
  const words = [
    ...cpus.map(({ socket, die }, cpu) => {
      const core = Math.floor(cpu / threadsPerCore);
      return `cpu=${socket}:${socket * l3PerNode + die}:${core}`;
    }),
    ...nodes.map(({ memory_mib }) => `memory=${memory_mib}`),
    ...(sizes === null ? [] : [`private=${size(sizes.l2)}`, `l3=${size(sizes.l3)}`]),
    ...(pages ? ["pages=on"] : []),
    `out=${out.replaceAll(",", ",,")}`,
  ];
  return ["-plugin", `${plugin.replaceAll(",", ",,")},${words.join(",")}`];
}
