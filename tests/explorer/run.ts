/**
 * Explores all specs, and all their mutants, each of which has to be found out.
 *
 * .tools/bin/bun tests/explorer/run.ts [--spec NAME]... [--full] [--record] [--junit FILE] [--verbose]
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { Deaths } from "./deaths.ts";
import { cpuSeconds } from "./explore.ts";
import { isExplored, type Job, type JobResult } from "./jobs.ts";
import { caseTable, junit, lockTable, nameOf, type SpecReport } from "./report.ts";
import type { Spec } from "./spec.ts";

/**
 * Most CPU time of all threads together while a job runs, before its thread is ended: a loop without steps never ends by
 * itself.
 */
const JOB_SECONDS = 360;
const FULL_JOB_SECONDS = 8000;
const LOOK_MS = 1000;

const { values: options } = parseArgs({
  options: {
    spec: { type: "string", multiple: true, default: [] },
    full: { type: "boolean", default: false },
    record: { type: "boolean", default: false },
    workers: { type: "string", default: `${availableParallelism()}` },
    junit: { type: "string" },
    verbose: { type: "boolean", short: "v", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});

/** Which run found which mutant out. A long search looks for all of them anew. */
const deaths = new Deaths();

interface Task {
  readonly spec: Spec;
  readonly job: Job;
}

async function readSpecs(): Promise<{ readonly file: string; readonly specs: readonly Spec[] }[]> {
  const folder = new URL("./specs/", import.meta.url);
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts")).sort();
  return await Promise.all(files.map(async (name) => {
    const { specs } = (await import(new URL(name, folder).href)) as { specs: readonly Spec[] };
    return { file: `tests/explorer/specs/${name}`, specs: specs ?? [] };
  }));
}

function tasksOf(file: string, spec: Spec, index: number): Task[] {
  const { full } = options;
  const task = (what: Job["what"], which: number): Task => ({
    spec,
    job: { file, spec: index, what, index: which, full },
  });
  const cases = [...spec.cases.entries()];
  const explored = cases.filter(([, subject]) => isExplored(subject, full));
  const walked = cases.filter(([, { traffic }]) => traffic !== undefined);
  return [
    ...explored.map(([which]) => task("case", which)),
    ...[...explored, ...walked].map(([which]) => task("walk", which)),
    ...spec.mutants.map((mutant, which): Task => {
      const { spec: subject, job } = task("mutant", which);
      const known = full ? undefined : deaths.of(spec, mutant);
      return { spec: subject, job: { ...job, known } };
    }),
  ];
}

/** Does one job in a thread of its own, which is made when there is none. */
class Pool {
  #worker: Worker | undefined;

  run(job: Job): Promise<JobResult> {
    const worker = this.#worker ??= new Worker(new URL("./worker.ts", import.meta.url));
    const seconds = job.full ? FULL_JOB_SECONDS : JOB_SECONDS;
    return new Promise((resolve) => {
      const end = (result: JobResult): void => {
        clearInterval(timer);
        worker.removeAllListeners();
        resolve(result);
      };
      const fail = (failure: string): void => {
        this.stop();
        end({ failure, seconds });
      };
      const start = cpuSeconds();
      const timer = setInterval(() => {
        if (cpuSeconds() - start > seconds) fail(`no end after ${seconds} s of CPU time`);
      }, LOOK_MS);
      worker.on("message", end);
      worker.on("error", (error) => fail(`the thread failed: ${error}`));
      worker.postMessage(job);
    });
  }

  stop(): void {
    void this.#worker?.terminate();
    this.#worker = undefined;
  }
}

/** What fails without a mutant says nothing about it. */
const IN_VAIN: JobResult = { failure: "a case of the spec fails without it, too", seconds: 0 };

async function runAll(tasks: readonly Task[]): Promise<Map<Task, JobResult>> {
  const results = new Map<Task, JobResult>();
  const isMutant = ({ job }: Task): boolean => job.what === "mutant";
  const queue = [...tasks.filter((task) => !isMutant(task)), ...tasks.filter(isMutant)];
  const broken = new Set<Spec>();
  await Promise.all(Array.from({ length: Number(options.workers) }, async () => {
    const pool = new Pool();
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
      const result = isMutant(task) && broken.has(task.spec) ? IN_VAIN : await pool.run(task.job);
      results.set(task, result);
      if (!isMutant(task) && result.failure !== undefined) broken.add(task.spec);
      const name = `${task.spec.name}, ${nameOf(task.spec, task.job)}`;
      if (result.failure !== undefined) process.stdout.write(`--- ${name}\n${result.failure}\n\n`);
      else if (options.verbose) {
        const [death] = result.death?.split("\n") ?? [];
        process.stdout.write(`${name}: ${death ?? "passed"} (${result.seconds.toFixed(2)} s)\n`);
      }
    }
    pool.stop();
  }));
  for (const task of tasks) {
    if (isMutant(task) && broken.has(task.spec)) results.set(task, IN_VAIN);
  }
  return results;
}

async function main(): Promise<number> {
  const start = performance.now();
  const wanted = (spec: Spec): boolean =>
    options.spec.length === 0 || options.spec.some((name) => spec.name.includes(name));
  const all = await readSpecs();
  const names = all.flatMap(({ specs }) => specs.map(({ name }) => name));
  const unknown = options.spec.filter((name) => !names.some((other) => other.includes(name)));
  if (unknown.length > 0) {
    process.stderr.write(
      `no spec has ${unknown.map((name) => `"${name}"`).join(" or ")} in its name; ` +
        `there are ${names.join(", ")}\n`,
    );
    return 1;
  }
  const tasks = all.flatMap(({ file, specs }) =>
    specs.flatMap((spec, index) => wanted(spec) ? tasksOf(file, spec, index) : [])
  );
  const results = await runAll(tasks);
  const reports: SpecReport[] = [...new Set(tasks.map(({ spec }) => spec))].map((spec) => ({
    spec,
    jobs: tasks.filter((task) => task.spec === spec)
      .map((task) => ({ job: task.job, result: results.get(task) as JobResult })),
  }));
  const failed = [...results.values()].filter(({ failure }) => failure !== undefined).length;
  const poor = reports.filter(({ spec }) => spec.mutants.length < 3);
  for (const { spec } of poor) {
    process.stdout.write(`--- ${spec.name}: ${spec.mutants.length} mutants, fewer than three\n`);
  }
  process.stdout.write(`${caseTable(reports)}\n\nrandom walks\n${lockTable(reports)}\n`);
  if (options.junit !== undefined) {
    mkdirSync(dirname(options.junit), { recursive: true });
    writeFileSync(options.junit, junit(reports));
  }
  const mutants = tasks.filter(({ job }) => job.what === "mutant");
  const searched = mutants.filter((task) =>
    results.get(task)?.found?.choices !== task.job.known?.choices
  );
  if (options.record) deaths.record(mutants.map((task) => [task, results.get(task)?.found]));
  else if (searched.length > 0) {
    process.stdout.write(
      `${searched.length} mutants had to be searched for: --record saves that\n`,
    );
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(
    `${tasks.length - failed} passed, ${failed + poor.length} failed (${seconds} s)\n`,
  );
  return tasks.length === 0 || failed + poor.length > 0 ? 1 : 0;
}

if (options.help) {
  process.stdout.write(
    "tests/explorer/run.ts [--spec NAME]... [--full] [--record] [--junit FILE] [--verbose]\n\n" +
      "  --spec NAME   only specs whose name has NAME in it\n" +
      "  --full        more interruptions, and the cases that take long\n" +
      "  --record      keep which run finds which mutant out, to try it first the next time\n" +
      "  --workers N   threads that explore; as many as there are CPUs by default\n" +
      "  --junit FILE  write a report\n" +
      "  --verbose     say what each mutant died of\n",
  );
} else {
  process.exitCode = await main();
}
