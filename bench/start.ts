/**
 * What a thread costs before it does anything: against the Worker that the runtime has.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { launch, unpinned } from "../mod.ts";
import type { Comparison, Subject } from "./harness.ts";
import { type IdleTask, now_ms } from "./workers/idle_task.ts";

/** How many threads idle at the same time. */
const IDLE = 8;
const REPEATS = 5;
const SETTLE_MS = 200;

/** Starts a thread that says when it began, and ends when it is told. */
type Start = (task: IdleTask) => {
  /** When it began, by {@linkcode now_ms}. */
  readonly began: Promise<number>;
  /** Resolves when it has ended. */
  end(): Promise<unknown>;
};

function launched(task: IdleTask): ReturnType<Start> {
  const thread = launch(new URL("./workers/idle.ts", import.meta.url), { args: task });
  return { began: once(task), end: () => thread.join() };
}

function bare(task: IdleTask): ReturnType<Start> {
  const module = new URL("./workers/bare.ts", import.meta.url);
  // Else it would run on the one CPU of the benchmarks; what launch() starts does not.
  const worker = unpinned(() => new Worker(module));
  worker.postMessage(task);
  return { began: once(task), end: async () => void await worker.terminate() };
}

/** When the thread has written down that it began. */
async function once({ began, state }: IdleTask): Promise<number> {
  while (Atomics.load(state, 0) === 0) await sleep(1);
  return began[0] as number;
}

function newTask(): IdleTask {
  const buffer = new SharedArrayBuffer(16);
  return { began: new Float64Array(buffer, 0, 1), state: new Int32Array(buffer, 8, 2) };
}

function tellEnd({ state }: IdleTask): void {
  Atomics.store(state, 1, 1);
  Atomics.notify(state, 1);
}

function untilFirstLine(name: string, start: Start): Subject {
  return {
    name,
    repeats: REPEATS,
    async self(): Promise<number> {
      const task = newTask();
      const start_ms = now_ms();
      const thread = start(task);
      const taken_ms = await thread.began - start_ms;
      tellEnd(task);
      await thread.end();
      return taken_ms;
    },
  };
}

function idle(name: string, how: "launch" | "bare"): Subject {
  const flags = "Deno" in globalThis ? ["run", "--allow-all"] : [];
  const file = fileURLToPath(import.meta.url);
  return {
    name,
    repeats: 1,
    self(): number {
      // A process of its own: what threads leave behind would be taken for less memory of the next ones.
      const command = [...flags, file, how];
      const { stdout, stderr } = unpinned(() =>
        spawnSync(process.execPath, command, { encoding: "utf8" })
      );
      const growth = Number(stdout);
      if (stdout.trim() === "" || Number.isNaN(growth)) throw new Error(stderr);
      return growth / IDLE;
    },
  };
}

/** Resident memory of this process. */
function resident_MiB(): number {
  const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
  return pages * 4096 / 2 ** 20;
}

/** By how much threads that idle make this process larger. */
async function growth_MiB(start: Start): Promise<number> {
  const before = resident_MiB();
  const tasks = Array.from({ length: IDLE }, newTask);
  const threads = tasks.map(start);
  await Promise.all(threads.map(({ began }) => began));
  await sleep(SETTLE_MS);
  const growth = resident_MiB() - before;
  tasks.forEach(tellEnd);
  await Promise.all(threads.map((thread) => thread.end()));
  return growth;
}

/**
 * The comparisons of the suite. From a checkout Node also strips the types of every module, for each thread.
 *
 * @returns Time until the first line of the body, in milliseconds; memory of an idle thread, in MiB.
 */
export function comparisons(): Comparison[] {
  return [
    {
      name: "until a thread's first line",
      unit: "ms",
      subjects: [untilFirstLine("launch", launched), untilFirstLine("new Worker", bare)],
    },
    {
      name: `resident memory of an idle thread, of ${IDLE}`,
      unit: "MiB",
      subjects: [idle("launch", "launch"), idle("new Worker", "bare")],
    },
  ];
}

const [, main, how] = process.argv;
// Started by `idle`.
if (main === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${await growth_MiB(how === "launch" ? launched : bare)}`);
}
