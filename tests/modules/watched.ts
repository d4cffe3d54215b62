// A process whose machine changes while it runs, by what its argument says. It says what it was told of that, and then has
// to end by itself, with its watch not stopped. For tests/sched/watch_test.ts.
import { readFileSync } from "node:fs";
import process from "node:process";
import {
  CpuSet,
  launch,
  type MachineChange,
  plan,
  Policy,
  type Thread,
  topology,
  watchMachine,
} from "../../mod.ts";
import { native } from "../../lib/runtime/native.ts";
import { threadSelf } from "../../lib/runtime/thread.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { sibling } from "../support/checkout.ts";
import { NarrowCpuset } from "../support/cpuset.ts";
import { Quota } from "../support/quota.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { type Where, WORD } from "../workers/movable.ts";

/** What somebody does to the process; the result takes it back. */
type Meddle = () => (() => void) | string;

const one = CpuSet.of(topology().allowedCpus.first as number);

/** As `taskset -p` does from outside. */
function setAffinity(cpus: CpuSet): void {
  const mask = cpus.toMask();
  const { identity } = threadSelf();
  native().calls.nk_thread_move(identity, mask, mask.length, 0, new BigUint64Array(1024));
}

function undoing(made: Disposable | string): (() => void) | string {
  return typeof made === "string" ? made : () => made[Symbol.dispose]();
}

const ways: Readonly<Record<string, Meddle>> = {
  affinity() {
    const before = threadAffinity();
    setAffinity(one);
    return () => setAffinity(before);
  },
  cpuset: () => undoing(NarrowCpuset.set(one.toString())),
  quota: () => undoing(Quota.set(0.5)),
};

function cpusOf(thread: Thread<unknown>): string {
  const status = readFileSync(`/proc/self/task/${thread.tid}/status`, "utf8");
  return /Cpus_allowed_list:\t(.*)/.exec(status)?.[1] ?? status;
}

const words = sharedWords(4);
const module = sibling(import.meta.url, "../workers/movable");
const threads = [Policy.compact(), Policy.compact(), Policy.unbound()].map((policy) =>
  launch<Where>(module, { policy, args: { task: "idle", words } })
);
await reaches(words, WORD.runs, 3);
const changes: MachineChange[] = [];
const watch = watchMachine({ intervalMs: 5, replan: true });
let told = (): void => {};
watch.on("change", (change) => {
  changes.push(change);
  told();
});
const next = (): Promise<void> => new Promise((resolve) => (told = resolve));

/** Where the threads are, and where they ought to be. */
const seen: string[][] = [];
function see(): void {
  const expected = plan(topology(), Policy.compact(), 2).map(({ cpus }) => `${cpus}`);
  seen.push([threads.slice(0, 2).map(cpusOf).join(), expected.join()]);
}

let first = next();
const undo = (ways[process.argv[2] as string] as Meddle)();
if (typeof undo === "string") {
  process.stdout.write(JSON.stringify({ refused: undo }));
} else {
  try {
    await first;
    see();
    first = next();
  } finally {
    undo();
  }
  await first;
  see();
  process.stdout.write(JSON.stringify({
    what: changes.map(({ what }) => what),
    effective: changes.map(({ before, after }) => [before.effectiveCpus, after.effectiveCpus]),
    isCurrent: changes.at(-1)?.after === topology(),
    errors: changes.flatMap(({ threads }) => threads.flatMap(({ error }) => error?.message ?? [])),
    counts: changes.map(({ threads }) => threads.length),
    seen,
  }));
}
Atomics.store(words, WORD.stop, 1);
const { allowed } = (await Promise.all(threads.map((thread) => thread.join())))[2] as Where;
process.on("exit", () => {
  // What a worker sees of the machine, and whether the watch was stopped.
  process.stdout.write(`\n${JSON.stringify({ allowed, stopped: watch.stopped })}`);
});
