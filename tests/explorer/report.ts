/**
 * Tables and the JUnit report of `run.ts`.
 *
 * @module
 */

import Table from "cli-table3";
import { type Job, type JobResult, labelOf } from "./jobs.ts";
import { shareAcross } from "./lines.ts";
import type { Spec } from "./spec.ts";

/** Acquisitions of a walk from which on its statistics say something. */
const ENOUGH = 100;
/** Threads with which some domain has somebody who waits, beside the one that has the lock. */
const ENOUGH_THREADS = 4;

/** A spec and all that was done for it. */
export interface SpecReport {
  readonly spec: Spec;
  readonly jobs: readonly { readonly job: Job; readonly result: JobResult }[];
}

/** What a job is called in a report. */
export function nameOf(spec: Spec, { what, index }: Job): string {
  if (what === "mutant") {
    const mutant = spec.mutants[index];
    return `mutant ${index + 1}: ${mutant?.name ?? mutant?.replace.slice(0, 60)}`;
  }
  const subject = spec.cases[index];
  return `${what} ${index + 1}: ${subject === undefined ? "" : labelOf(subject)}`;
}

/** The table of cases, one line each. */
export function caseTable(reports: readonly SpecReport[]): string {
  const table = new Table({
    head: [
      "spec",
      "case",
      "threads",
      "bound",
      "schedules",
      "steps",
      "seconds",
      "saved by time",
      "mutants killed",
      "atomics alone",
    ],
    style: { head: [], border: [] },
  });
  for (const { spec, jobs } of reports) {
    const mutants = jobs.filter(({ job }) => job.what === "mutant");
    const killed = mutants.filter(({ result }) => result.failure === undefined).length;
    for (const { job, result } of jobs) {
      const subject = spec.cases[job.index];
      if (job.what !== "case" || subject === undefined) continue;
      const { outcome } = result;
      table.push([
        job.index === 0 ? spec.name : "",
        labelOf(subject),
        subject.threads,
        outcome?.preemptions ?? "",
        outcome?.schedules.toLocaleString("en") ?? "",
        outcome?.steps.toLocaleString("en") ?? "",
        result.seconds.toFixed(2),
        outcome?.rescues.toLocaleString("en") ?? "",
        job.index === 0 ? `${killed}/${mutants.length}` : "",
        result.alone ?? "",
      ]);
    }
  }
  return table.toString();
}

/** The table of random walks of locks that enough threads want. */
export function lockTable(reports: readonly SpecReport[]): string {
  const table = new Table({
    head: [
      "lock",
      "case",
      "threads",
      "taken",
      "hand-offs in domain",
      "across",
      "share across",
      "longest bypass",
      "fairness",
      "lines from other domains",
    ],
    style: { head: [], border: [] },
  });
  for (const { spec, jobs } of reports) {
    for (const { job, result: { lock, remote } } of jobs) {
      const subject = spec.cases[job.index];
      if (job.what !== "walk" || lock === undefined || subject === undefined) continue;
      if (lock.taken < ENOUGH || subject.threads < ENOUGH_THREADS) continue;
      table.push([
        spec.name,
        labelOf(subject),
        subject.threads,
        lock.taken,
        lock.local,
        lock.remote,
        `${(shareAcross(lock) * 100).toFixed(1)} %`,
        lock.bypass,
        lock.fairness.toFixed(3),
        remote ?? "",
      ]);
    }
  }
  return table.toString();
}

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

/** A report with a test for each case, walk and mutant. */
export function junit(reports: readonly SpecReport[]): string {
  const suites = reports.map(({ spec, jobs }) => {
    const cases = jobs.map(({ job, result }) => {
      const head = `<testcase name="${escape(nameOf(spec, job))}" time="${
        result.seconds.toFixed(3)
      }"`;
      return result.failure === undefined
        ? `    ${head}/>`
        : `    ${head}><failure>${escape(result.failure)}</failure></testcase>`;
    });
    const few = spec.mutants.length < 3
      ? ['    <testcase name="at least three mutants"><failure>fewer</failure></testcase>']
      : [];
    return `  <testsuite name="${escape(spec.name)}">\n${
      [...cases, ...few].join("\n")
    }\n  </testsuite>`;
  });
  return `<?xml version="1.0"?>\n<testsuites>\n${suites.join("\n")}\n</testsuites>\n`;
}
