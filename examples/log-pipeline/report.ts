/** What the pipeline finds out. */
import { peakMiB, table } from "../figures.ts";
import { COUNTRIES, ROUTES } from "./log.ts";

/** All of it. */
export interface Report {
  readonly lines: number;
  readonly bytes: number;
  /** Requests by the first digit of their status. */
  readonly statuses: readonly number[];
  readonly countries: readonly number[];
  readonly routes: readonly RouteReport[];
}

export interface RouteReport {
  readonly count: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

/** Draws it. */
export function drawReport({ lines, bytes, statuses, countries, routes }: Report): string {
  const times = routes.map((
    { count, p50Us, p99Us },
    route,
  ) => [`/${ROUTES[route]}`, ...[count, p50Us, p99Us].map(String)]);
  const byStatus = statuses.map((count, digit) => [`${digit}xx`, "", String(count)]).slice(2);
  const byCountry = countries.map((count, country) => [`${COUNTRIES[country]}`, "", `${count}`]);
  return [
    `${lines} requests, ${bytes} bytes\n`,
    table(["route", "requests", "p50 µs", "p99 µs"], times),
    table(["status or country", "", "requests"], [...byStatus, ...byCountry]),
  ].join("\n");
}

/** What `--json` prints. */
export interface Run extends Report {
  readonly linesPerSecond: number;
  readonly memoryMiB: number;
}

/** Prints a report, and how fast it came; for other programs as JSON. */
export function printReport(report: Report, elapsedMs: number, asJson: boolean): void {
  const linesPerSecond = Math.round(report.lines / elapsedMs * 1000);
  if (asJson) {
    console.log(JSON.stringify({ ...report, linesPerSecond, memoryMiB: peakMiB() } satisfies Run));
  } else console.log(`${drawReport(report)}\n${linesPerSecond} lines a second`);
}
