/**
 * What fetching a line takes on real machines, as others have published it.
 */
import type { Counts } from "../../scripts/lib/counts.ts";

/** Nanoseconds a line. */
interface Latencies {
  /** From a cache of the same L3 domain. */
  readonly domain: number;
  /** From a cache of another domain of the node. */
  readonly node: number;
  /** From a cache of the other node. */
  readonly farCache: number;
  /** From the memory of the node, and of the other one. Absent: nobody has published it. */
  readonly memory?: readonly [near: number, far: number];
}

/** A machine with two sockets. */
export interface Machine {
  readonly name: string;
  readonly latencies: Latencies;
  /** Where the figures are from. */
  readonly source: string;
}

const mean = (...values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** The machines, in the order of the columns. A Xeon's socket is one domain. */
export const MACHINES: readonly Machine[] = [
  {
    name: "2 × Xeon Platinum 8180",
    // Lines whose memory is the writer's and the reader's.
    latencies: {
      ...{ domain: 53.8, node: 53.8, farCache: mean(113.9, 175.9) },
      memory: [81.3, 131.1],
    },
    source: "Intel MLC 3.5 on s5-t22-sut1 of the FD.io testbeds, " +
      "https://github.com/FDio/csit, calibration of the Xeon Skylake machines",
  },
  {
    name: "2 × Xeon Platinum 8269CY",
    latencies: {
      ...{ domain: 51.7, node: 51.7, farCache: mean(111.2, 176.3) },
      memory: [78.2, 143.8],
    },
    source: "Intel MLC 3.9, https://github.com/plantegg/plantegg.github.io, " +
      "page 定制Linux Kernel of 24 January 2019",
  },
  {
    name: "2 × Xeon 6980P",
    latencies: {
      ...{ domain: 180.2, node: 180.2, farCache: mean(433.3, 413.7, 425, 422.4) },
      memory: [mean(130.7, 129.4), mean(449.2, 410)],
    },
    source: "Intel MLC 3.11b with SNC off, " +
      "https://github.com/ikawrakow/ik_llama.cpp/discussions/201",
  },
  {
    name: "2 × EPYC 7R13",
    latencies: { domain: 23, node: 107, farCache: 197 },
    source: "core-to-core-latency, medians of compare-exchange, " +
      "https://github.com/nviennot/core-to-core-latency",
  },
];

/** What accesses may come from memory where nobody has published its latency: a share of the lines. */
const MAX_UNKNOWN = 0.05;

/**
 * What the lines of some accesses take one after the other, own caches left out.
 *
 * @param machine Where.
 * @param counts What the accesses came to.
 * @returns Nanoseconds; undefined when a latency is missing that matters.
 */
export function modelled_ns({ latencies }: Machine, counts: Counts): number | undefined {
  const { l3, domain, node, farCache, memory, farMemory, upgrades, farUpgrades } = counts;
  const fromMemory = memory + farMemory;
  const [near, far] = latencies.memory ?? [0, 0];
  if (
    latencies.memory === undefined &&
    fromMemory > MAX_UNKNOWN * (l3 + domain + node + farCache + fromMemory)
  ) return undefined;
  return (l3 + domain) * latencies.domain +
    (node + upgrades - farUpgrades) * latencies.node +
    (farCache + farUpgrades) * latencies.farCache +
    memory * near + farMemory * far;
}
