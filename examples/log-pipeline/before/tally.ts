/** The same totals in plain arrays, of one thread alone. */
import { COUNTRIES, type HitRecord, MOST_US, ROUTES } from "../log.ts";
import type { Report } from "../report.ts";

/** Plain numbers, which messages carry. */
export interface Tally {
  bytes: number;
  readonly statuses: number[];
  readonly countries: number[];
  /** For each route, how many requests took each number of microseconds. */
  readonly routes: readonly Uint32Array[];
}

/** An empty one. */
export function newTally(): Tally {
  return {
    bytes: 0,
    statuses: Array.from({ length: 6 }, () => 0),
    countries: COUNTRIES.map(() => 0),
    routes: ROUTES.map(() => new Uint32Array(MOST_US + 1)),
  };
}

/** Counts a request. */
export function count(tally: Tally, { bytes, status, country, route, tookUs }: HitRecord): void {
  tally.bytes += bytes;
  tally.statuses[Math.floor(status / 100)]!++;
  tally.countries[country]!++;
  tally.routes[route]![tookUs]!++;
}

/** Adds up those of several threads. */
export function sumOf(tallies: readonly Tally[]): Tally {
  const sum = newTally();
  const add = (to: number[] | Uint32Array, from: number[] | Uint32Array): void =>
    from.forEach((number: number, index: number) => to[index]! += number);
  for (const { bytes, statuses, countries, routes } of tallies) {
    sum.bytes += bytes;
    add(sum.statuses, statuses);
    add(sum.countries, countries);
    routes.forEach((route, index) => add(sum.routes[index]!, route));
  }
  return sum;
}

function percentile(times: Uint32Array, count: number, percent: number): number {
  let left = Math.max(1, Math.ceil(percent / 100 * count));
  return times.findIndex((number) => (left -= number) <= 0);
}

/** Sums it up. */
export function reportOf({ bytes, statuses, countries, routes }: Tally): Report {
  const times = routes.map((route) => {
    const count = route.reduce((sum, number) => sum + number, 0);
    return { count, p50Us: percentile(route, count, 50), p99Us: percentile(route, count, 99) };
  });
  const lines = times.reduce((sum, { count }) => sum + count, 0);
  return { lines, bytes, statuses, countries, routes: times };
}
