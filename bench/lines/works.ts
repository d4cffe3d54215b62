/**
 * What threads do while their lines are counted. A module for threads: each is given one work after the other, does it
 * once, or a sixteenth of it, so that all memory is there, waits for the section to begin, and does it.
 */
import { type MessagePort, parentPort } from "node:worker_threads";
import {
  Arena,
  currentNode,
  fromHandles,
  type Histogram,
  type Lock,
  type NodeArray,
  NodePool,
  type PartitionedCounter,
  type Replicated,
  type SeqLock,
  Slab,
  worker,
  type WorkerFunction,
} from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";
import { type MapWork, prepareMap } from "./map_works.ts";
import { range } from "./marks.ts";
import { LINE } from "./scene.ts";

/** Bytes: of an arena, or of a buffer that threads share. */
export type Place =
  | { readonly arena: Arena; readonly offset: number; readonly size: number }
  | { readonly shared: SharedArrayBuffer };

/** A part of what all threads work on. */
interface Share {
  readonly share: number;
  readonly of: number;
}

/** How often a work is done while it is counted. */
interface Times {
  readonly times: number;
}

/** Where objects are from: also from a buffer's slots, in turn. */
export type Objects = Slab | NodePool | Place;

/** How many objects are handed over at a time. */
export const BATCH = 256;
/** The words that hand them over: whose turn it is, and the objects. */
export const BATCH_WORDS: number = 16 + BATCH;

/** One thread's work. */
export type Work =
  | { readonly kind: "read"; readonly place: Place }
  | { readonly kind: "read local"; readonly size: number }
  /** Memory of the reader's own making that is no arena: what it writes first. */
  | { readonly kind: "read filled"; readonly size: number }
  | { readonly kind: "read share"; readonly place: Place; readonly fill?: boolean } & Share
  | { readonly kind: "read own parts"; readonly array: NodeArray<"float64"> }
  | { readonly kind: "read elements"; readonly array: NodeArray<"float64"> } & Share
  | { readonly kind: "read copy"; readonly replicated: Replicated }
  | { readonly kind: "garbage" } & Times
  | { readonly kind: "churn"; readonly from: Slab | NodePool } & Times
  | { readonly kind: "churn buffer"; readonly place: Place } & Share & Times
  /** Makes objects for somebody else, who writes and frees them, so many times {@linkcode BATCH}. */
  | { readonly kind: "make" | "take"; readonly from: Objects; readonly batch: Int32Array } & Times
  | {
    readonly kind: "lock";
    /** The words of a `NaiveMutex`, or a lock. */
    readonly lock: Lock | Int32Array;
    readonly guarded: Place;
    readonly writes: boolean;
  } & Times
  | {
    readonly kind: "record";
    /** The words of a `NaiveMutex` and of a record in the line after it, or a record. */
    readonly record: SeqLock | Int32Array;
    /** How many reads it takes for a write. Default: it never writes. */
    readonly writeEach?: number;
  } & Times
  | {
    readonly kind: "count";
    readonly counter: PartitionedCounter | Int32Array;
    /** How many adds it takes for a look at the total. Default: it never looks. */
    readonly totalEach?: number;
  } & Times
  | {
    readonly kind: "histogram";
    /** A histogram, or a word for each value. */
    readonly histogram: Histogram | Int32Array;
  } & Times
  | MapWork;

/** Words that the main thread and the threads share. */
export const AT = { arrived: 0, go: 16, done: 32, words: 48 } as const;

/** What a thread gets. */
export interface LinesTask {
  readonly work: Work;
  /** What the section will be called. */
  readonly section: string;
  readonly control: Int32Array;
}

/** What a thread gets when there is no more. */
export const ENOUGH = "enough";

const ELEMENTS = LINE / 8;
/** What is done before it is counted: a part of `times`. */
const WARM_UP = 16;
/** Objects of JavaScript that are alive at a time. */
const ALIVE = 4096;

function doublesOf(place: Place): Float64Array {
  if ("shared" in place) return new Float64Array(place.shared);
  const { buffer, byteOffset } = place.arena.view(place.offset, place.size);
  return new Float64Array(buffer, byteOffset, place.size / 8);
}

/** One element of each line. */
function readLines(doubles: Float64Array, from = 0, to = doubles.length): number {
  let sum = 0;
  for (let index = from; index < to; index += ELEMENTS) sum += doubles[index] as number;
  return sum;
}

/** One byte of each line. */
function readBytes(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += LINE) sum += bytes[at] as number;
  return sum;
}

/** Writes to each of four lines. */
function touch(guarded: Float64Array): void {
  for (let line = 0; line < 4; line++) (guarded[line * ELEMENTS] as number)++;
}

function allocate(from: Slab | NodePool): number {
  return from instanceof NodePool ? from.alloc(LINE) : from.alloc();
}

/** Gets a work ready: names what only this thread sees, and gives what does it, so many times where it has `times`. */
function prepare(work: Work, section: string): (times: number) => unknown {
  switch (work.kind) {
    case "read": {
      const doubles = doublesOf(work.place);
      return () => readLines(doubles);
    }
    case "read local": {
      const arena = Arena.local();
      const bytes = arena.view(arena.alloc(work.size), work.size).fill(1);
      range(`${section}: data`, bytes);
      return () => readBytes(bytes);
    }
    case "read filled": {
      const bytes = new Uint8Array(new SharedArrayBuffer(work.size)).fill(1);
      range(`${section}: data`, bytes);
      return () => readBytes(bytes);
    }
    case "read share": {
      const doubles = doublesOf(work.place);
      const share = doubles.length / work.of;
      if (work.fill === true) doubles.fill(1, work.share * share, (work.share + 1) * share);
      return () => readLines(doubles, work.share * share, (work.share + 1) * share);
    }
    case "read own parts": {
      const views = work.array.partitions().filter(({ node }) => node === currentNode())
        .map(({ view }) => view);
      return () => views.reduce((sum, view) => sum + readLines(view), 0);
    }
    case "read elements": {
      const { array, share, of } = work;
      const length = array.length / of;
      return () => {
        let sum = 0;
        for (let index = share * length; index < (share + 1) * length; index += ELEMENTS) {
          sum += array.get(index);
        }
        return sum;
      };
    }
    case "read copy":
      // Only a thread of its node sees a copy.
      work.replicated.read((bytes) => range(`${section}: copy on node ${currentNode()}`, bytes));
      return () => work.replicated.read(readBytes);
    case "garbage": {
      const alive: object[] = [];
      return (times) => {
        for (let time = 0; time < times; time++) alive[time % ALIVE] = { time, half: time / 2 };
        return alive;
      };
    }
    case "churn":
      return (times) => {
        for (let time = 0; time < times; time++) {
          const id = allocate(work.from);
          work.from.view(id).fill(time);
          work.from.free(id);
        }
      };
    case "churn buffer": {
      const doubles = doublesOf(work.place);
      const share = doubles.length / work.of;
      return (times) => {
        for (let time = 0; time < times; time++) {
          const at = work.share * share + (time % 64) * ELEMENTS;
          doubles.fill(time, at, at + ELEMENTS);
        }
      };
    }
    case "make":
    case "take":
      return (times) => handOver(work, times);
    case "lock": {
      const lock = work.lock instanceof Int32Array ? new NaiveMutex(work.lock) : work.lock;
      const guarded = doublesOf(work.guarded);
      return (times) => {
        let sum = 0;
        for (let time = 0; time < times; time++) {
          lock.acquire();
          if (work.writes) touch(guarded);
          else sum += readLines(guarded, 0, 4 * ELEMENTS);
          lock.release();
        }
        return sum;
      };
    }
    case "record": {
      const { record } = work;
      const out = new Int32Array(4);
      const isWrite = (time: number): boolean =>
        work.writeEach !== undefined && time % work.writeEach === work.writeEach - 1;
      if (!(record instanceof Int32Array)) {
        return (times) => {
          for (let time = 0; time < times; time++) {
            if (isWrite(time)) record.write([time, time, time, time]);
            else record.read(out);
          }
        };
      }
      const mutex = new NaiveMutex(record);
      return (times) => {
        for (let time = 0; time < times; time++) {
          mutex.acquire();
          for (let word = LINE / 4; word < LINE / 4 + 4; word++) {
            if (isWrite(time)) record[word] = time;
            else out[word - LINE / 4] = record[word] as number;
          }
          mutex.release();
        }
      };
    }
    case "count": {
      const { counter, totalEach = Infinity } = work;
      const isNaive = counter instanceof Int32Array;
      return (times) => {
        let sum = 0;
        for (let time = 1; time <= times; time++) {
          if (isNaive) Atomics.add(counter, 0, 1);
          else counter.add(1);
          if (time % totalEach === 0) {
            sum += isNaive ? Atomics.load(counter, 0) : counter.value();
          }
        }
        return sum;
      };
    }
    case "histogram": {
      const { histogram } = work;
      return (times) => {
        for (let time = 0; time < times; time++) {
          const value = 1 + (time & 1023);
          if (histogram instanceof Int32Array) Atomics.add(histogram, value, 1);
          else histogram.record(value);
        }
      };
    }
    default:
      return prepareMap(work);
  }
}

/** Waits until it is a side's turn. */
function waitTurn(batch: Int32Array, turn: number): void {
  for (let seen = Atomics.load(batch, 0); seen !== turn; seen = Atomics.load(batch, 0)) {
    Atomics.wait(batch, 0, seen);
  }
}

/** The bytes of an object, and what makes and frees it. */
function objectsOf(from: Objects): {
  readonly make: () => number;
  readonly view: (id: number) => { fill(value: number): unknown };
  readonly free: (id: number) => void;
} {
  if (from instanceof NodePool || from instanceof Slab) {
    return {
      make: () => allocate(from),
      view: (id) => from.view(id),
      free: (id) => from.free(id),
    };
  }
  const doubles = doublesOf(from);
  let next = 0;
  return {
    make: () => next++ % BATCH,
    view: (id) => doubles.subarray(id * ELEMENTS, (id + 1) * ELEMENTS),
    free: () => undefined,
  };
}

/** One side of handing objects over, a batch at a time. */
function handOver({ kind, from, batch }: Extract<Work, { kind: "make" | "take" }>, times: number) {
  const { make, view, free } = objectsOf(from);
  const [mine, other] = kind === "make" ? [0, 1] : [1, 0];
  for (let time = 0; time < times; time++) {
    waitTurn(batch, mine);
    for (let at = BATCH_WORDS - BATCH; at < BATCH_WORDS; at++) {
      if (kind === "make") batch[at] = make();
      const id = batch[at] as number;
      view(id).fill(time);
      if (kind === "take") free(id);
    }
    Atomics.store(batch, 0, other);
    Atomics.notify(batch, 0);
  }
}

/** Somewhere to keep results, so that no engine leaves the work out. */
const sink: { value: unknown } = { value: undefined };

function perform({ work, section, control }: LinesTask): void {
  const run = prepare(work, section);
  const times = "times" in work ? work.times : 1;
  sink.value = run(Math.ceil(times / WARM_UP));
  Atomics.add(control, AT.arrived, 1);
  Atomics.wait(control, AT.go, 0);
  sink.value = run(times);
  Atomics.add(control, AT.done, 1);
}

function takeWorks(): Promise<void> {
  const port = parentPort as MessagePort;
  return new Promise((resolve, reject) => {
    port.on("message", (message: unknown) => {
      if (message === ENOUGH) return resolve();
      try {
        perform(fromHandles(message) as LinesTask);
      } catch (error) {
        reject(error);
      }
    });
  });
}

const body: WorkerFunction<unknown, void> = worker(takeWorks);
export default body;
