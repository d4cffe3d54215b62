/**
 * What there is to do for specs, in pieces that can be shared out.
 *
 * @module
 */

import { explore, type Outcome, recall, walk } from "./explore.ts";
import { atomicsText, Lines, type LockStatistics, missed } from "./lines.ts";
import { Misuse, type Observer } from "./ops.ts";
import type { Case, Spec } from "./spec.ts";
import { loadStepwise } from "./transform.ts";
import { domainsOf } from "./world.ts";

/** One piece of work. */
export interface Job {
  /** The spec's module, from the root of the checkout. */
  readonly file: string;
  /** Which of its specs. */
  readonly spec: number;
  readonly what: "case" | "mutant" | "walk";
  /** Which case or mutant. */
  readonly index: number;
  /** As far as is meant for long runs. */
  readonly full: boolean;
  /** Of a mutant: the run that found it out the last time, to be tried first. */
  readonly known?: Death | undefined;
}

/** A run that finds a mutant out. */
export interface Death {
  /** The case's label. */
  readonly case: string;
  /** As {@linkcode Outcome.choices}. */
  readonly choices: string;
}

/** What came of it. */
export interface JobResult {
  /** Why it failed, if it did. */
  readonly failure: string | undefined;
  readonly seconds: number;
  /** Of a case. */
  readonly outcome?: Outcome;
  /** Of a case: atomics of each operation of a thread that is alone. */
  readonly alone?: string;
  /** Of a mutant: what it died of. */
  readonly death?: string;
  /** Of a mutant: the run that found it out. */
  readonly found?: Death;
  /** Of a walk. */
  readonly lock?: LockStatistics;
  /** Of a walk: lines from other domains for each operation. */
  readonly remote?: string;
}

/** Most CPU time that a case may take, of all threads together. */
const SECONDS = 240;
const FULL_SECONDS = 7200;
const WALKS = 8;
/** Fewer, because each is long. */
const TRAFFIC_WALKS = 2;

/**
 * Whether a case is explored.
 *
 * @param subject The case.
 * @param full As far as is meant for long runs.
 */
export function isExplored(subject: Case, full: boolean): boolean {
  return subject.traffic === undefined && (full || subject.full !== true);
}

/** How a case is called. */
export function labelOf(subject: Case): string {
  const { threads, preemptions, kills = 0, timeouts = 0, spurious = 0, spins = "await" } = subject;
  const extras = [
    spins === "await" ? "" : `spins ${spins}`,
    kills === 0 ? "" : `kills ${kills}`,
    timeouts === 0 ? "" : `timeouts ${timeouts}`,
    spurious === 0 ? "" : `spurious ${spurious}`,
  ].filter((text) => text !== "");
  const { name = [`${threads} threads`, `bound ${preemptions}`, ...extras].join(", ") } = subject;
  return name;
}

/** Tells an observer only of one thread. */
function only(thread: number, observer: Observer): Observer {
  const when = <Rest extends unknown[]>(tell: (who: number, ...rest: Rest) => void) =>
  (
    who: number,
    ...rest: Rest
  ): void => {
    if (who === thread) tell(who, ...rest);
  };
  return {
    access: when(observer.access.bind(observer)),
    other: when(observer.other.bind(observer)),
    operation: when(observer.operation.bind(observer)),
    lock: when(observer.lock.bind(observer)),
  };
}

/** Counts the first run, in which thread 0 goes first and nobody is in its way. */
function countAlone(subject: Case, sites: Parameters<typeof explore>[1]): string {
  const lines = new Lines({ domains: domainsOf(subject) });
  explore(subject, sites, { schedules: 1, preemptions: 0, observer: only(0, lines) });
  return [...lines.operations].filter(([, { times }]) => times > 0)
    .map(([name, counts]) => `${name} ${atomicsText(counts)}`).join("\n");
}

async function load(job: Job): Promise<{ spec: Spec; sites: Parameters<typeof explore>[1] }> {
  // A URL, so that a bundler that meets this takes it for no pattern of modules.
  const url = new URL(`../../${job.file}`, import.meta.url).href;
  const plain = (await import(url)) as { specs: readonly Spec[] };
  const subject = plain.specs[job.spec];
  const mutants = job.what === "mutant" ? [subject?.mutants[job.index]] : [];
  const { module, sites } = await loadStepwise(job.file, {
    mutants: mutants.filter((mutant) => mutant !== undefined),
    plainSteps: subject?.plainSteps ?? [],
  });
  const spec = (module["specs"] as readonly Spec[])[job.spec];
  if (spec === undefined) throw new Misuse(`${job.file} has no spec ${job.spec}`);
  return { spec, sites };
}

function runCase(subject: Case, sites: Parameters<typeof explore>[1], full: boolean): JobResult {
  const { preemptions, fullPreemptions = preemptions } = subject;
  const outcome = explore(subject, sites, {
    preemptions: full ? fullPreemptions : preemptions,
    seconds: full ? FULL_SECONDS : SECONDS,
  });
  const { violation, seconds } = outcome;
  const needless = subject.slices !== undefined && outcome.rescues === 0;
  const failure = violation ?? (needless ? `never needs slices: ${subject.slices}` : undefined);
  return {
    failure,
    seconds,
    outcome,
    alone: failure === undefined ? countAlone(subject, sites) : "",
  };
}

function runMutant(
  spec: Spec,
  sites: Parameters<typeof explore>[1],
  { full, known }: Job,
): JobResult {
  const start = performance.now();
  const seconds = (): number => (performance.now() - start) / 1000;
  const cases = spec.cases.filter((subject) => isExplored(subject, full));
  const foundBy = known && cases.find((subject) => labelOf(subject) === known.case);
  const again = foundBy && recall(foundBy, sites, known.choices);
  if (again !== undefined) {
    const death = `${known?.case}: ${again}`;
    return { failure: undefined, seconds: seconds(), death, ...(known && { found: known }) };
  }
  const most = Math.max(...cases.map(({ preemptions }) => preemptions));
  // All cases with few interruptions before any with many: what is wrong shows early in one of them.
  for (let bound = 0; bound <= most; bound++) {
    for (const subject of cases.filter(({ preemptions }) => preemptions >= bound)) {
      const limits = { from: bound, preemptions: bound, seconds: full ? FULL_SECONDS : SECONDS };
      const { violation, choices = "" } = explore(subject, sites, limits);
      if (violation === undefined) continue;
      const found: Death = { case: labelOf(subject), choices };
      const death = `${found.case}: ${violation}`;
      return { failure: undefined, seconds: seconds(), death, found };
    }
  }
  return { failure: "survived", seconds: seconds() };
}

/** Statistics of the first of some random walks, all of which have to go well. */
function runWalks(subject: Case, sites: Parameters<typeof explore>[1]): JobResult {
  const start = performance.now();
  const { traffic } = subject;
  const walks = traffic === undefined ? WALKS : TRAFFIC_WALKS;
  const counts = Array.from({ length: walks }, () => new Lines({ domains: domainsOf(subject) }));
  let failure: string | undefined;
  for (const [index, lines] of counts.entries()) {
    failure ??= walk(subject, sites, index + 1, lines).violation;
    if (traffic !== undefined) failure ??= missed(lines.lockStatistics, traffic);
  }
  const [lines] = counts as [Lines];
  const remote = [...lines.operations].filter(([, { times }]) => times > 0)
    .map(([name, counts]) => `${name} ${(counts.remote / counts.times).toFixed(2)}`).join("\n");
  const seconds = (performance.now() - start) / 1000;
  const lock = lines.lockStatistics;
  return lock.taken === 0 ? { failure, seconds, remote } : { failure, seconds, remote, lock };
}

/**
 * Does a piece of work.
 *
 * @param job What.
 * @returns What came of it; what could not be done is a failure, too.
 */
export async function runJob(job: Job): Promise<JobResult> {
  try {
    const { spec, sites } = await load(job);
    if (job.what === "mutant") return runMutant(spec, sites, job);
    const subject = spec.cases[job.index] as Case;
    return job.what === "case" ? runCase(subject, sites, job.full) : runWalks(subject, sites);
  } catch (error) {
    return {
      failure: `cannot be explored: ${error instanceof Error ? error.message : error}`,
      seconds: 0,
    };
  }
}
