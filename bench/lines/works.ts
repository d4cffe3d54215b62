/**
 * What threads do while their lines are counted. A module for threads: each does its work a few times, so that it is
 * compiled, waits for the section to begin, and does it once more.
 */
import {
  type Arena,
  currentNode,
  type Histogram,
  type Lock,
  type NodeArray,
  type NodePool,
  type PartitionedCounter,
  type Replicated,
  type SeqLock,
  worker,
  type WorkerFunction,
} from "../../mod.ts";
import { range } from "./marks.ts";

/** Bytes: of an arena, or of a buffer that threads share. */
export type Place =
  | { readonly arena: Arena; readonly offset: number; readonly size: number }
  | { readonly shared: SharedArrayBuffer };

/** One thread's work. `times` is how often it does it while it is counted. */
export type Work =
  | { readonly kind: "read"; readonly place: Place; readonly times: number }
  | {
    readonly kind: "read share";
    readonly place: Place;
    readonly share: number;
    readonly of: number;
  }
  | { readonly kind: "read own part"; readonly array: NodeArray<"float64"> }
  | {
    readonly kind: "read elements";
    readonly array: NodeArray<"float64">;
    readonly share: number;
    readonly of: number;
  }
  | { readonly kind: "read replica"; readonly replicated: Replicated; readonly times: number }
  | { readonly kind: "churn"; readonly pool: NodePool; readonly times: number }
  | {
    readonly kind: "exchange";
    readonly pool: NodePool;
    readonly mail: Int32Array;
    readonly me: number;
    readonly times: number;
  }
  | {
    readonly kind: "churn buffer";
    readonly place: Place;
    readonly share: number;
    readonly of: number;
    readonly times: number;
  }
  | {
    readonly kind: "lock";
    readonly lock: Lock;
    readonly guarded: Place;
    readonly writes: boolean;
    readonly times: number;
  }
  | { readonly kind: "record"; readonly seq: SeqLock; readonly times: number }
  | { readonly kind: "count"; readonly counter: PartitionedCounter; readonly times: number }
  | { readonly kind: "histogram"; readonly histogram: Histogram; readonly times: number }
  | { readonly kind: "add"; readonly words: Int32Array; readonly times: number };

/** Words that the main thread and the threads share. */
export const AT = { arrived: 0, go: 16, done: 32, words: 48 } as const;

/** What a thread gets. */
export interface LinesTask {
  readonly work: Work;
  /** What the section will be called. */
  readonly section: string;
  readonly control: Int32Array;
}

const LINE = 64;
/** A thread that warms up does a small part. */
const WARM_UP = 16;

function doublesOf(place: Place): Float64Array {
  if ("shared" in place) return new Float64Array(place.shared);
  const { buffer, byteOffset } = place.arena.view(place.offset, place.size);
  return new Float64Array(buffer, byteOffset, place.size / 8);
}

/** One element of each line. */
function readLines(doubles: Float64Array, from = 0, to = doubles.length): number {
  let sum = 0;
  for (let index = from; index < to; index += LINE / 8) sum += doubles[index] as number;
  return sum;
}

/** Writes to each of four lines. */
function touch(guarded: Float64Array): void {
  for (let line = 0; line < 4; line++) (guarded[line * (LINE / 8)] as number)++;
}

/** Does some work, `part` of how often it is asked for. Returns something, so that no engine leaves the work out. */
function run(work: Work, part: number): unknown {
  const times = "times" in work ? Math.ceil(work.times / part) : 1;
  switch (work.kind) {
    case "read": {
      const doubles = doublesOf(work.place);
      let sum = 0;
      for (let time = 0; time < times; time++) sum += readLines(doubles);
      return sum;
    }
    case "read share": {
      const doubles = doublesOf(work.place);
      const share = doubles.length / work.of;
      return readLines(doubles, work.share * share, (work.share + 1) * share);
    }
    case "read own part": {
      const own = work.array.partitions().filter(({ node }) => node === currentNode());
      return own.reduce((sum, { view }) => sum + readLines(view), 0);
    }
    case "read elements": {
      const { array } = work;
      const share = array.length / work.of;
      let sum = 0;
      for (let index = work.share * share; index < (work.share + 1) * share; index += LINE / 8) {
        sum += array.get(index);
      }
      return sum;
    }
    case "read replica": {
      let sum = 0;
      for (let time = 0; time < times; time++) {
        sum += work.replicated.read((bytes) => {
          let all = 0;
          for (let at = 0; at < bytes.length; at += LINE) all += bytes[at] as number;
          return all;
        });
      }
      return sum;
    }
    case "churn": {
      const { pool } = work;
      let last = 0;
      for (let time = 0; time < times; time++) {
        const id = pool.alloc(LINE);
        pool.view(id).fill(time);
        pool.free(last = id);
      }
      return last;
    }
    case "exchange":
      return exchange(work.pool, work.mail, work.me, times);
    case "churn buffer": {
      const doubles = doublesOf(work.place);
      const share = doubles.length / work.of;
      for (let time = 0; time < times; time++) {
        const at = work.share * share + (time % 64) * (LINE / 8);
        doubles.fill(time, at, at + LINE / 8);
      }
      return doubles;
    }
    case "lock": {
      const guarded = doublesOf(work.guarded);
      let sum = 0;
      for (let time = 0; time < times; time++) {
        work.lock.acquire();
        if (work.writes) touch(guarded);
        else sum += readLines(guarded, 0, 4 * (LINE / 8));
        work.lock.release();
      }
      return sum;
    }
    case "record": {
      const out = new Int32Array(4);
      for (let time = 0; time < times; time++) work.seq.read(out);
      return out;
    }
    case "count":
      for (let time = 0; time < times; time++) work.counter.add(1);
      return 0;
    case "histogram":
      for (let time = 0; time < times; time++) work.histogram.record(1 + (time & 1023));
      return 0;
    case "add":
      for (let time = 0; time < times; time++) Atomics.add(work.words, 0, 1);
      return 0;
  }
}

/** Allocates blocks here, and frees those of the other thread. */
function exchange(pool: NodePool, mail: Int32Array, me: number, times: number): number {
  let last = 0;
  for (let time = 0; time < times; time++) {
    const id = pool.alloc(LINE);
    pool.view(id).fill(time);
    // One word for each direction: 0 when it has been taken.
    while (Atomics.compareExchange(mail, me * 16, 0, id + 1) !== 0);
    do last = Atomics.exchange(mail, (1 - me) * 16, 0); while (last === 0);
    pool.free(last - 1);
  }
  return last;
}

const body: WorkerFunction<LinesTask, void> = worker(
  ({ work, section, control }: LinesTask): void => {
    for (let time = 0; time < WARM_UP; time++) run(work, WARM_UP);
    // Only a thread of its node sees a copy.
    if (work.kind === "read replica") {
      work.replicated.read((bytes) => range(`${section}: copy on node ${currentNode()}`, bytes));
    }
    Atomics.add(control, AT.arrived, 1);
    Atomics.wait(control, AT.go, 0);
    run(work, 1);
    Atomics.add(control, AT.done, 1);
  },
);

export default body;
