/**
 * What {@linkcode PiscinaPool} is asked, checked: piscina's options, as far as they make sense here.
 *
 * @module
 */
import { builtin } from "../../runtime/builtin.ts";
import { checkInteger, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkSignal } from "../../base/options.ts";
import { checkPolicy } from "../../sched/policies/chosen.ts";
import type { Policy } from "../../sched/policies/policy.ts";
import { topologyNow } from "../../topology/load.ts";

/** Options of {@linkcode PiscinaPool}: those of piscina that it has, and where its workers run. */
export interface PiscinaOptions {
  /** The file with the tasks: an absolute path or a `file:` URL. Default: none, and each `run` names one. */
  readonly filename?: string | null;
  /** The export that is called. Default: `"default"`. */
  readonly name?: string;
  /** Workers that are there in any case: 1 to `maxThreads`. Default: `maxThreads`. */
  readonly minThreads?: number;
  /** The most workers: 1 to 256. Default: as many as CPUs that the process may use, or `minThreads` if that is more. */
  readonly maxThreads?: number;
  /**
   * A worker beyond `minThreads` ends when it has had nothing to do for so many milliseconds: 0 to 2^31 - 1. Default:
   * 10,000.
   */
  readonly idleTimeout?: number;
  /**
   * How many tasks may wait beyond one a worker: 0 to 2^31 - 1, or `Infinity`; `"auto"`: the square of `maxThreads`.
   * Default: no limit.
   */
  readonly maxQueue?: number | "auto";
  /** What the files find as piscina's `workerData`. It is copied for each worker. Default: undefined. */
  readonly workerData?: unknown;
  /** Where the workers run. Default: as those of a `TaskPool`, in turns between the nodes. */
  readonly policy?: Policy | string;
}

/** Options of {@linkcode PiscinaPool.run}. */
export interface PiscinaRunOptions {
  /** The file. Default: the pool's. */
  readonly filename?: string | null;
  /** The export that is called. Default: the pool's. */
  readonly name?: string | null;
  /** Aborts the task: a worker that has begun it is ended, and another one takes its place. */
  readonly signal?: AbortSignal | null;
  /** What of the task is moved and not copied. Default: nothing. */
  readonly transferList?: readonly object[];
}

const NAMES = [
  ...["filename", "name", "minThreads", "maxThreads", "idleTimeout", "maxQueue", "workerData"],
  "policy",
];
const RUN_NAMES = ["filename", "name", "signal", "transferList"];
const MAX_THREADS = 256;
const MAX_INT = 2 ** 31 - 1;
const IDLE_MS = 10_000;

/** Options, checked and complete. */
export interface CheckedOptions {
  readonly filename: string | undefined;
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly idleMs: number;
  readonly maxQueued: number | undefined;
  readonly workerData: unknown;
  readonly policy: Policy | undefined;
}

function refuse(what: string, value: unknown, fix: string, action: string): never {
  throw new NumaError("EINVAL", action, { why: `${what} is ${show(value)}`, fix });
}

function checkNames(given: object, names: readonly string[], action: string): void {
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw new NumaError("EINVAL", action, {
    why: `there is no option ${show(other)} here`,
    fix: `Give ${names.join(", ")}; docs/piscina.md says what takes the place of others.`,
  });
}

/**
 * A file as a path.
 *
 * @param filename What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The path; undefined when there is none.
 * @throws {NumaError} `EINVAL`.
 */
function checkFilename(filename: unknown, action: string): string | undefined {
  if (filename === undefined || filename === null) return undefined;
  if (typeof filename === "string") {
    try {
      if (filename.startsWith("file:")) return builtin("node:url").fileURLToPath(filename);
    } catch {
      // A URL with a host, or with a path that no file can have.
    }
    if (builtin("node:path").isAbsolute(filename)) return filename;
  }
  const fix = 'Give an absolute path, or new URL("./worker.cjs", import.meta.url).href.';
  return refuse("filename", filename, fix, action);
}

function checkName(name: unknown, action: string): string {
  if (typeof name === "string" && name !== "") return name;
  return refuse("name", name, "Give the name of an export.", action);
}

/**
 * Checks a pool's options.
 *
 * @param options What the caller gave; looked at once.
 * @param action What was asked, as it follows "Cannot".
 * @returns The options.
 * @throws {NumaError} `EINVAL`.
 */
export function checkPoolOptions(options: PiscinaOptions, action: string): CheckedOptions {
  checkOptions(options, `{ ${NAMES.join(", ")} }`, action);
  const given = { ...options };
  checkNames(given, NAMES, action);
  const { filename, name = "default", maxQueue, idleTimeout = IDLE_MS, workerData, policy } = given;
  const { minThreads, maxThreads } = given;
  if (minThreads !== undefined) checkInteger(minThreads, "minThreads", 1, MAX_THREADS, action);
  const cpus = Math.min(MAX_THREADS, Math.max(1, topologyNow(true).effectiveCpus));
  const max = maxThreads ?? Math.max(cpus, minThreads ?? 1);
  checkInteger(max, "maxThreads", 1, MAX_THREADS, action);
  const min = checkInteger(minThreads ?? max, "minThreads", 1, max, action);
  // piscina's 0 ends an idle worker at once; here it has a millisecond.
  const idleMs = Math.max(1, checkInteger(idleTimeout, "idleTimeout", 0, MAX_INT, action));
  const maxQueued = maxQueue === "auto"
    ? max ** 2
    : maxQueue === undefined || maxQueue === Infinity
    ? undefined
    : checkInteger(maxQueue, "maxQueue", 0, MAX_INT, action);
  return {
    filename: checkFilename(filename, action),
    name: checkName(name, action),
    ...{ min, max, idleMs, maxQueued, workerData },
    policy: policy === undefined ? undefined : checkPolicy(policy, action),
  };
}

/** What a task is. */
export interface CheckedRun {
  readonly filename: string;
  readonly name: string;
  readonly signal: AbortSignal | undefined;
  readonly transferList: readonly object[];
}

/**
 * Checks a task's options.
 *
 * @param options What the caller gave; looked at once.
 * @param pool The pool's.
 * @returns The options.
 * @throws {NumaError} `EINVAL`.
 */
export function checkRunOptions(options: PiscinaRunOptions, pool: CheckedOptions): CheckedRun {
  const action = "run a task";
  checkOptions(options, `{ ${RUN_NAMES.join(", ")} }`, action);
  const given = { ...options };
  checkNames(given, RUN_NAMES, action);
  const filename = checkFilename(given.filename, action) ?? pool.filename;
  if (filename === undefined) {
    throw new NumaError("EINVAL", action, {
      why: "neither the pool nor the call has a filename",
      fix: "Give one of them a filename.",
    });
  }
  const name = checkName(given.name ?? pool.name, action);
  const signal = checkSignal(given.signal ?? undefined, action);
  const { transferList = [] } = given;
  if (!Array.isArray(transferList)) {
    refuse("transferList", transferList, "Give an array of what is to be moved.", action);
  }
  return { filename, name, signal, transferList };
}
