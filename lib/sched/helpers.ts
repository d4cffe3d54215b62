/**
 * The runtime's shared threads: kept off the CPUs that threads are pinned to, or put where the program wants them.
 *
 * @module
 */
import { show } from "../base/check.ts";
import { errnoError } from "../base/errno.ts";
import { NumaError } from "../base/error.ts";
import { builtin } from "../runtime/builtin.ts";
import { native } from "../runtime/native.ts";
import { PLACED_WORDS } from "../runtime/symbols.ts";
import { threadSelf } from "../runtime/thread.ts";
import type { CpuSet } from "../topology/cpu_set.ts";
import { topology } from "../topology/load.ts";
import { readOptions } from "../base/options.ts";
import { homeAffinity, isPinned } from "./binding/pin.ts";
import { checkPolicy } from "./policies/chosen.ts";
import { plan, type ThreadPlacement } from "./policies/plan.ts";
import { Policy } from "./policies/policy.ts";

/** Which threads of the runtime are put where. */
export interface PlaceHelpersOptions {
  /** The CPUs, as a set or in the kernel's notation. Give this or `policy`. */
  readonly cpus?: CpuSet | string;
  /** A policy: its first place. */
  readonly policy?: Policy | string;
  /**
   * How the names of the threads begin, as the kernel has them (`/proc/self/task/…/comm`, at most 15 bytes). Default: those
   * that this runtime gives to its collectors, compilers and pools.
   */
  readonly names?: readonly string[];
}

/** What became of one thread of the runtime. */
export interface PlacedHelper {
  /** Its name. */
  readonly name: string;
  /** Its OS thread id. */
  readonly tid: number;
  /** What was done: `"same"` where it had these CPUs, `"ended"` where it ended meanwhile. */
  readonly result: "moved" | "same" | "refused" | "ended";
  /** Why it was refused; undefined when it was not. */
  readonly error: NumaError | undefined;
}

/** What {@linkcode placeHelpers} has done. */
export interface PlacedHelpers {
  /** The CPUs. */
  readonly cpus: CpuSet;
  /** The threads that were found. */
  readonly threads: readonly PlacedHelper[];
  /** The names of which there is no thread now. */
  readonly missing: readonly string[];
}

/** How long a shared thread that a pinned one has started may stay where that one is, in milliseconds. */
const WATCH_MS = 250;
/** The kernel's limit, in bytes. */
const MAX_NAME = 15;
const CAPACITY = 1024;

let isStarted = false;
let watched = 0;
let timer: ReturnType<typeof setInterval> | undefined;
/** Where {@linkcode placeHelpers} has put threads that the runtime starts late or again. */
const homes = /* @__PURE__ */ new Map<string, CpuSet>();

/**
 * Puts what begins with one of the names on CPUs; with `grow`, only what runs on a part of them. Returns how many there
 * are, or `-errno`.
 */
function place(
  cpus: CpuSet,
  names: readonly string[],
  grow: boolean,
  out: BigUint64Array,
): number {
  const mask = cpus.toMask();
  const list = new TextEncoder().encode(`${names.join("\0")}\0\0`);
  const capacity = Math.floor(out.length / PLACED_WORDS);
  return native().calls.nk_threads_place(mask, mask.length, list, Number(grow), out, capacity);
}

/** Lets shared threads that a pinned one has started run where the process may, or where they were put. */
function settle(): void {
  const { late } = native().helpers;
  const out = new BigUint64Array(PLACED_WORDS);
  const free = late.filter((name) => !homes.has(name));
  let result = place(homeAffinity(), free, true, out);
  for (const name of late) {
    const cpus = homes.get(name);
    if (cpus !== undefined && result >= 0) result = place(cpus, [name], false, out);
  }
  if (result >= 0) return;
  // Nobody is there to catch an error.
  clearInterval(timer);
  builtin("node:process").emitWarning(
    errnoError(result, "nk_threads_place", "let the runtime's threads run on all CPUs"),
  );
}

/** Starts what the runtime would start when it first needs it. */
function startHelpers(): void {
  // What a pinned thread would start now was started by the one that pinned it.
  if (!isStarted && !isPinned()) native().helpers.start();
  isStarted = true;
}

/**
 * Keeps the runtime's shared threads off a pinned thread's CPUs, from before its start until its end.
 *
 * They are started now, so that they are not born in the pinned thread, with its CPUs and its memory policy. Some runtimes
 * start others later; those get the CPUs back, but nobody can take another thread's memory policy from it.
 *
 * @returns To be called when the pinned thread has ended.
 */
export function spareHelpers(): () => void {
  startHelpers();
  if (native().helpers.late.length === 0) return () => {};
  if (watched++ === 0) {
    timer = setInterval(settle, WATCH_MS);
    timer.unref();
  }
  return () => {
    if (--watched === 0) clearInterval(timer);
    settle();
  };
}

function checkNames(names: unknown, action: string): readonly string[] {
  const isName = (name: unknown): boolean =>
    typeof name === "string" && name !== "" && !name.includes("\0") &&
    new TextEncoder().encode(name).length <= MAX_NAME;
  if (Array.isArray(names) && names.length > 0 && names.every(isName)) return names;
  throw new NumaError("EINVAL", action, {
    why: `names is ${show(names)}`,
    fix: `Give names of 1 to ${MAX_NAME} bytes each.`,
  });
}

function cpusFor({ cpus, policy }: PlaceHelpersOptions, action: string): CpuSet {
  if ((cpus === undefined) === (policy === undefined)) {
    throw new NumaError("EINVAL", action, {
      why: cpus === undefined ? "no CPUs are given" : "both cpus and policy are given",
      fix: "Give { cpus } or { policy }.",
    });
  }
  const where = cpus === undefined ? checkPolicy(policy, action) : Policy.bindCpus(cpus);
  return (plan(topology(), where, 1)[0] as ThreadPlacement).cpus;
}

/** A thread's line of the helper's answer. */
function describe(words: BigUint64Array, action: string): PlacedHelper {
  const tid = Number(words[0]);
  const result = Number(BigInt.asIntN(64, words[1] as bigint));
  const bytes = new Uint8Array(words.slice(2).buffer);
  const name = new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
  if (result >= 0) return { name, tid, result: result > 0 ? "moved" : "same", error: undefined };
  const error = errnoError(result, "sched_setaffinity", action);
  return error.code === "ESTALE"
    ? { name, tid, result: "ended", error: undefined }
    : { name, tid, result: "refused", error };
}

/**
 * Puts the runtime's own threads (garbage collection, compilers, libuv's or tokio's pool) on some CPUs, so that they do not
 * disturb pinned threads. They are found by their names.
 *
 * Threads that numakit has launched, the calling one, the first one of the process and all others that use numakit are
 * never among them, whatever their names. Node 20 and 22 give no names of their own to V8's threads, and Node 20 not to
 * libuv's: those are not found. Threads that the runtime starts later have the CPUs of the thread that needs them; those
 * which Bun starts again are put in their place as well, while threads of this one are pinned. Their memory policy is not
 * changed: only a thread itself can do that.
 *
 * Cost: it reads one small file for each thread of the process.
 *
 * @param options Where, and which.
 * @returns What was found, and what became of it. Nothing is thrown for a thread that cannot be moved.
 * @throws {NumaError} `EINVAL`; what `plan` throws; `EPERM` where `/proc` cannot be read.
 *
 * @example
 * ```ts
 * import { CpuSet, placeHelpers, topology } from "@numakit/numakit";
 *
 * const { threads } = placeHelpers({ cpus: CpuSet.of(topology().allowedCpus.first!) });
 * for (const { name, tid, result } of threads) console.log(name, tid, result);
 * placeHelpers({ cpus: topology().allowedCpus }); // back again
 * ```
 */
export function placeHelpers(options: PlaceHelpersOptions): PlacedHelpers {
  const action = "place the runtime's threads";
  const read = readOptions(options, ["cpus", "policy", "names"], action);
  const cpus = cpusFor(read, action);
  const { helpers } = native();
  const names = read.names === undefined ? helpers.names : checkNames(read.names, action);
  startHelpers();
  // Registered, so that it is none of them, whatever the runtime calls it.
  threadSelf();
  const out = new BigUint64Array(CAPACITY * PLACED_WORDS);
  const count = place(cpus, names, false, out);
  if (count < 0) throw errnoError(count, "nk_threads_place", action);
  for (const name of helpers.late) if (names.includes(name)) homes.set(name, cpus);
  const threads = Array.from({ length: Math.min(count, CAPACITY) }, (_, index) => {
    return describe(out.slice(index * PLACED_WORDS, (index + 1) * PLACED_WORDS), action);
  });
  const missing = names.filter((name) => !threads.some((found) => found.name.startsWith(name)));
  return { cpus, threads, missing };
}
