// What tests/memory/replicated_test.ts and tests/numa/any_placement_test.ts run in threads: the argument says which.
import { setTimeout as sleep } from "node:timers/promises";
import { currentNode, type Handle, NumaError, worker } from "../../mod.ts";
import { Replicated } from "../../lib/memory/spread/replicated.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity, topology } from "../../lib/topology/load.ts";
import { nodesOfCopies } from "../support/copies.ts";

export interface Task {
  readonly task: string;
  readonly replicated?: Replicated;
  /** A handle as JSON: as an object it would arrive alive. */
  readonly handle?: string;
  /** Word 0: how many have begun. Word 1: 1 says stop. */
  readonly control?: Int32Array<SharedArrayBuffer>;
  readonly count?: number;
}

/** What a reader saw. */
export interface ReaderReport {
  readonly reads: number;
  readonly torn: number;
  readonly backwards: number;
  readonly last: number;
}

const begin = (control?: Int32Array): void => void (control && Atomics.add(control, 0, 1));
const stopped = (control?: Int32Array): boolean => !control || Atomics.load(control, 1) === 1;

const ints = (bytes: Uint8Array): Int32Array =>
  new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);

/** Whether every element is what the version says: the writer writes them so. */
const isWhole = (bytes: Uint8Array, version: number): boolean =>
  ints(bytes).every((element) => element === version);

function busyFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** Reads until told to stop; now and then `move` may take it elsewhere. */
async function readAll({ replicated, control }: Task, move: () => void): Promise<ReaderReport> {
  const report = { reads: 0, torn: 0, backwards: 0, last: 0 };
  const check = (bytes: Uint8Array, version: number): void => {
    report.reads++;
    if (!isWhole(bytes, version)) report.torn++;
    if (version < report.last) report.backwards++;
    report.last = version;
  };
  begin(control);
  while (!stopped(control)) {
    for (let round = 0; round < 100; round++) replicated?.read(check);
    move();
    {
      using snapshot = replicated?.local();
      if (snapshot === undefined) throw new Error("nothing to read");
      check(snapshot.bytes, snapshot.version);
      // Others run here, and the version has to hold still meanwhile.
      await sleep(0);
      if (!isWhole(snapshot.bytes, snapshot.version)) report.torn++;
    }
  }
  return report;
}

function wander(): () => void {
  const cpus = threadAffinity();
  const places = topology().nodes.map((node) => node.cpus.intersection(cpus))
    .filter(({ size }) => size > 0);
  let round = 0;
  return () => pinThread(places[round++ % places.length] ?? cpus);
}

function attach(handle = ""): Replicated {
  return Replicated.fromHandle(JSON.parse(handle) as Handle);
}

const tasks = {
  read: (task: Task): Promise<ReaderReport> => readAll(task, () => {}),
  wander: (task: Task): Promise<ReaderReport> => readAll(task, wander()),
  identity: ({ replicated, handle }: Task): boolean => replicated === attach(handle),
  attach: ({ handle }: Task): number => attach(handle).version,
  async write({ replicated, control, count = 0 }: Task): Promise<number> {
    begin(control);
    for (let round = 0; round < count; round++) {
      await replicated?.updateAsync((next, version) => {
        const elements = ints(next);
        for (const index of elements.keys()) (elements[index] as number)++;
        if (!isWhole(next, version)) throw new Error("an update was lost");
      });
    }
    return count;
  },
  dieInRead({ replicated, control }: Task): void {
    replicated?.read(() => {
      begin(control);
      // Ends by itself, for the runtime that cannot stop it.
      busyFor(1500);
    });
  },
  async dieWithSnapshot({ replicated, control }: Task): Promise<void> {
    replicated?.local();
    begin(control);
    for (;;) await sleep(1000);
  },
  dieInUpdate({ replicated, control }: Task): void {
    replicated?.update((next) => {
      next.fill(255, 0, next.length / 2);
      begin(control);
      busyFor(1500);
      throw new NumaError("EBUSY", "go on", { why: "this was to be terminated" });
    });
  },
  /** On which node each of many reads was, by what the kernel says of the very pages. */
  locate({ replicated, count = 0 }: Task): { node: number; touched: [number, number][] } {
    if (replicated === undefined) throw new Error("nothing to read");
    const nodeOf = nodesOfCopies(replicated);
    const node = currentNode();
    const touched = new Map<number, number>();
    const touch = (bytes: Uint8Array, node?: number): void => {
      const at = nodeOf.get(bytes.buffer as ArrayBuffer) ?? -1;
      const told = node === undefined || node === at ? at : -1;
      touched.set(told, (touched.get(told) ?? 0) + 1);
    };
    for (let round = 0; round < count; round++) {
      using snapshot = replicated.local();
      touch(snapshot.bytes, snapshot.node);
      replicated.read((bytes) => touch(bytes));
    }
    return { node, touched: [...touched] };
  },
};

export default worker((task: Task): unknown => tasks[task.task as keyof typeof tasks](task));
