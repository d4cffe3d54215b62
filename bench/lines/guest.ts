/**
 * Counts scenes in a guest, and prints what each section's operations were: one JSON line a section.
 *
 * bench/lines/guest.ts [--everywhere] [--repeats N] [WORDS]...     the sections with one of these words in their names,
 * or all
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CpuSet, launch, pin, Policy, type Thread } from "../../mod.ts";
import { lockScenes } from "./lock_scenes.ts";
import { range, section } from "./marks.ts";
import { mapScenes } from "./map_scenes.ts";
import { memoryScenes } from "./memory_scenes.ts";
import { cpuOf, type Job, nodes, type Scene, type Variant } from "./scene.ts";
import { taskScenes } from "./task_scenes.ts";
import { AT, ENOUGH, type LinesTask } from "./works.ts";

/** What is printed of a section. */
export interface SectionLine {
  readonly scene: string;
  readonly operation: string;
  readonly variant: string;
  /** Whether it is numakit's way, and not what a user would write instead. */
  readonly ours: boolean;
  readonly section: string;
  readonly operations: number;
  /** The CPUs all of whose accesses count; none when those to the named memory do. */
  readonly cpus: readonly number[];
}

const module = new URL("./works.ts", import.meta.url);

/** Threads for all works but those that are about a thread's heap, by CPU. */
const threads = new Map<number, Thread<void>>();

function threadFor({ cpu, memory }: Job): Thread<void> {
  const policy = Policy.bindCpus(CpuSet.of(cpu));
  if (memory !== undefined) return launch<void>(module, { policy, bind: { memory } });
  const known = threads.get(cpu) ?? launch<void>(module, { policy });
  threads.set(cpu, known);
  return known;
}

async function end(thread: Thread<void>): Promise<void> {
  thread.postMessage(ENOUGH);
  await thread.join();
}

async function until(control: Int32Array, at: number, count: number): Promise<void> {
  while (Atomics.load(control, at) < count) await sleep(20);
}

async function countVariant(scene: Scene, variant: Variant, name: string): Promise<void> {
  const { jobs, run, ranges, counts, operations, end: destroy } = await variant.make();
  const control = new Int32Array(new SharedArrayBuffer(AT.words * 4));
  const running = jobs.map((job) => {
    const thread = threadFor(job);
    const task: LinesTask = { work: job.work, section: name, control };
    thread.postMessage(task, job.transfer);
    return thread;
  });
  // A thread that failed has ended.
  const failed = Promise.race(running.map(async (thread) => {
    await thread.join();
    throw new Error("a thread ended before its work was done");
  }));
  failed.catch(() => undefined);
  await Promise.race([until(control, AT.arrived, jobs.length), failed]);
  for (const [of, bytes] of Object.entries(ranges)) range(`${name}: ${of}`, bytes);
  await section(name, async () => {
    Atomics.store(control, AT.go, 1);
    Atomics.notify(control, AT.go);
    await run?.();
    await Promise.race([until(control, AT.done, jobs.length), failed]);
  });
  await Promise.all(running.filter((_, index) => jobs[index]?.memory !== undefined).map(end));
  await destroy();
  const line: SectionLine = {
    ...{ scene: scene.name, operation: scene.operation },
    ...{ variant: variant.name, ours: variant.ours, section: name, operations },
    cpus: counts === "cpus" ? jobs.map(({ cpu }) => cpu) : [],
  };
  console.log(JSON.stringify(line));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    everywhere: { type: "boolean", default: false },
    repeats: { type: "string", default: "1" },
  },
});
// What the main thread fills is on its node: the first one.
pin(Policy.bindCpus(CpuSet.of(cpuOf(nodes()[0] as number))), { bind: { memory: "off" } });
let sections = 0;
for (const scene of [...memoryScenes(), ...lockScenes(), ...mapScenes(), ...taskScenes()]) {
  if (values.everywhere && scene.everywhere !== true) continue;
  for (const variant of scene.variants) {
    const name = `${scene.name}: ${variant.name}`;
    if (positionals.length > 0 && !positionals.some((word) => name.includes(word))) continue;
    for (let repeat = 1; repeat <= Number(values.repeats); repeat++) {
      // The counter's names are short.
      await countVariant(scene, variant, `${++sections} ${variant.name}`);
    }
  }
}
await Promise.all([...threads.values()].map(end));
