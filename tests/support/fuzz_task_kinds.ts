/**
 * The rows of what `lib/tasks/mod.ts` exports: right arguments of every function and method.
 */
import { NodeArray, PiscinaPool, TaskPool } from "../../mod.ts";
import * as tasks from "../../lib/tasks/mod.ts";
import { checkoutFile, sibling } from "./checkout.ts";
import { none } from "./fuzz_row.ts";

/** A module with functions for all of them. */
export const MODULE: URL = sibling(import.meta.url, "../workers/loop_tasks");
const FILE = checkoutFile("tests/fixtures/piscina/anything.cjs");

/** Right arguments, new ones each time, for calls of a pool. */
export type TaskRow = (pool: TaskPool) => readonly unknown[];

/** What has to be known of a class. */
export interface TaskKind {
  /** The exported class that it shows. */
  readonly type: unknown;
  make(): Promise<AsyncDisposable>;
  /** Of methods that leave the object usable. */
  readonly methods: Readonly<Record<string | symbol, (object: never) => readonly unknown[]>>;
  /** Methods that end the object, and take nothing. */
  readonly ends: readonly (string | symbol)[];
  readonly statics: Readonly<Record<string, () => readonly unknown[]>>;
}

const taskOptions = (): object => ({
  ...{ near: 0, priority: "low", timeoutMs: 60_000, signal: new AbortController().signal },
  transfer: [],
});
const loopOptions = (): object => ({
  ...{
    args: [1],
    near: 0,
    chunk: 2 ** 40,
    signal: new AbortController().signal,
    onProgress: () => {},
  },
});

const pool: TaskKind = {
  type: TaskPool,
  make: () => TaskPool.create(MODULE, { threads: 1 }),
  methods: {
    run: () => ["anything", [0, 1], taskOptions()],
    runSync: () => ["anything", [0, 1], { near: 0, priority: "high", timeoutMs: 60_000 }],
    map: () => [
      "anything",
      [1, 2, 3],
      {
        ...{ near: 0, priority: "low", concurrency: 100, onProgress: () => {} },
        signal: new AbortController().signal,
      },
    ],
    broadcast: () => ["anything", [1]],
    runOnAll: () => ["whoami", []],
    resize: () => [1],
    statistics: (object: TaskPool) => [object.statistics()],
    toString: none,
  },
  ends: ["close", "terminate", Symbol.asyncDispose],
  statics: {
    create: () => [MODULE, {
      ...{ threads: { min: 1, max: 1 }, per: "node", maxQueued: 5, whenFull: "wait" },
      ...{ idleMs: 1000, wait: "block", spins: 5, remoteSteals: 1, graceMs: 5, times: true },
      name: "fuzz",
    }],
  },
};

const piscina: TaskKind = {
  type: PiscinaPool,
  make: () => Promise.resolve(new PiscinaPool({ filename: FILE, maxThreads: 1 })),
  methods: {
    run: () => [{ a: 1, b: 2 }, {
      ...{ filename: FILE, name: "default", transferList: [] },
      signal: new AbortController().signal,
    }],
    toString: none,
  },
  ends: ["close", "destroy", Symbol.asyncDispose],
  statics: {
    constructor: () => [{
      ...{ filename: FILE, name: "default", minThreads: 1, maxThreads: 1, idleTimeout: 1000 },
      ...{ maxQueue: "auto", workerData: 5 },
    }],
  },
};

/** The classes. */
export const TASK_KINDS: Readonly<Record<string, TaskKind>> = {
  TaskPool: pool,
  PiscinaPool: piscina,
};

let array: NodeArray | undefined;

/** The functions. */
export const TASK_FUNCTIONS: Readonly<Record<string, TaskRow>> = {
  parallelFor: (pool) => [pool, { begin: 0, end: 10, step: 2 }, "anything", loopOptions()],
  reduce: (pool) => [pool, 10, "anything", {
    ...loopOptions(),
    ...{ combine: (_: unknown, value: unknown) => value, initial: 0, ordered: true },
  }],
  forEachPartition: (pool) => [
    pool,
    array ??= NodeArray.create({ type: "float64", length: 100 }),
    "anything",
    { args: [1], signal: new AbortController().signal, onProgress: () => {} },
  ],
  fork: () => ["one", [3]],
  join: () => [1],
  forkJoin: (pool) => [pool, "one", [3], {
    ...{ tasks: ["one"], signal: new AbortController().signal },
  }],
};

const { NumaError: _everywhere, ...own } = tasks;
/** What is exported, but for what each entry exports. */
export const TASKS_EXPORTED: Readonly<Record<string, unknown>> = own;
