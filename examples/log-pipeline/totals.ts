/** What is counted of all requests: any thread adds to it, and none waits for another. */
import { Histogram, PartitionedCounter, type SyncMemory } from "@numakit/numakit";
import { COUNTRIES, type Hits, MOST_US, ROUTES } from "./log.ts";
import type { Report } from "./report.ts";

/** What threads are given of it. */
export interface Totals {
  readonly bytes: PartitionedCounter;
  readonly statuses: readonly PartitionedCounter[];
  readonly countries: readonly PartitionedCounter[];
  readonly routes: readonly Histogram[];
}

const STATUSES = 6;

/** How much memory it takes, in bytes, for so many threads of the program. */
export function totalsBytes(threads: number): number {
  return (1 + STATUSES + COUNTRIES.length) * PartitionedCounter.bytes({ threads }) +
    ROUTES.length * Histogram.bytes({ threads, highest: MOST_US });
}

/** Creates it, in memory of any kind. */
export function createTotals(
  memoryFor: (bytes: number) => SyncMemory,
  threads: number,
): Totals {
  const options = { threads };
  const times = { threads, highest: MOST_US };
  const counter = () =>
    PartitionedCounter.create(memoryFor(PartitionedCounter.bytes(options)), options);
  return {
    bytes: counter(),
    statuses: Array.from({ length: STATUSES }, counter),
    countries: COUNTRIES.map(counter),
    routes: ROUTES.map(() => Histogram.create(memoryFor(Histogram.bytes(times)), times)),
  };
}

/** Adds requests. */
export function addHits(totals: Totals, { fields }: Hits, count: number): void {
  const { bytes, status, country, route, tookUs } = fields;
  let sum = 0;
  for (let index = 0; index < count; index++) {
    sum += bytes.get(index);
    totals.statuses[Math.floor(status.get(index) / 100)]?.add();
    totals.countries[country.get(index)]?.add();
    totals.routes[route.get(index)]?.record(tookUs.get(index));
  }
  totals.bytes.add(sum);
}

/** Sums it up. */
export function reportOf({ bytes, statuses, countries, routes }: Totals): Report {
  const times = routes.map((route) => route.snapshot());
  return {
    lines: times.reduce((sum, { count }) => sum + count, 0),
    bytes: bytes.value(),
    statuses: statuses.map((counter) => counter.value()),
    countries: countries.map((counter) => counter.value()),
    routes: times.map((route) => ({
      count: route.count,
      p50Us: route.percentile(50),
      p99Us: route.percentile(99),
    })),
  };
}
