import type { MessagePort, Worker } from "node:worker_threads";
import { builtin } from "../runtime/builtin.ts";
import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { encode } from "../base/handle.ts";
import { readOptions } from "../base/options.ts";
import { entryUrl } from "./entry_url.ts";
import { isPermissionError, permissionError } from "../runtime/permission.ts";
import { topology } from "../topology/load.ts";
import { parkingLot } from "../wait/thread_waiter.ts";
import { type BindStrengths, checkStrengths } from "./binding/binding.ts";
import { checkPolicy } from "./policies/chosen.ts";
import { type Birth, cannotSend, flattenWish } from "./message.ts";
import { takeSeat } from "./move/seats.ts";
import { bequeath } from "./binding/pin.ts";
import { Policy } from "./policies/policy.ts";
import { Thread } from "./thread.ts";
import { checkTransfer } from "./transfer.ts";

/** How {@linkcode launch} starts a thread. */
export interface LaunchOptions {
  /** Where the thread runs; a text such as `"node:0"` is read by `Policy.parse`. Default: `Policy.unbound()`, not pinned. */
  readonly policy?: Policy | string;
  /** The argument of the worker's function: anything that can be cloned, with numakit's objects in it at any depth. */
  readonly args?: unknown;
  /**
   * The parts of `args` that are moved to the thread instead of copied: ArrayBuffers, MessagePorts, streams, whatever
   * `postMessage` can transfer on this runtime. Default: nothing.
   */
  readonly transfer?: readonly object[];
  /**
   * Its name in error messages, and for the system: `htop`, `top -H` and `/proc` show the first 15 bytes of it, cut at a
   * character. Default: `numakit-` and a number.
   */
  readonly name?: string;
  /**
   * The index of its place in the policy, from 0 to 65,534. Default: the lowest that no live thread of an equal policy has.
   */
  readonly place?: number;
  /**
   * How hard the thread is bound to the CPUs and to the memory of its place; {@linkcode Thread.binding} reports what came
   * of it. Default: `{ cpus: "require", memory: "prefer" }`.
   */
  readonly bind?: BindStrengths;
  /**
   * How much CPU time it leaves to others: -20 to 19, the higher the more. Less than its launcher's needs CAP_SYS_NICE.
   * What the thread starts inherits it. Default: that of the thread that launches it.
   */
  readonly nice?: number;
}

/** The names of the options. */
const OPTIONS = ["policy", "args", "transfer", "name", "place", "bind", "nice"] as const;

/**
 * Checks the URL of a module.
 *
 * @param url What the caller gave.
 * @param name What such a module is called in the advice, without its ending.
 * @param action What was asked, as it follows "Cannot".
 * @returns The URL.
 * @throws {NumaError} `EINVAL`.
 */
export function checkUrl(url: unknown, name: string, action: string): string {
  if ((url instanceof URL || typeof url === "string") && URL.canParse(String(url))) {
    return String(url);
  }
  throw new NumaError("EINVAL", action, {
    why: `the module is ${show(url)}`,
    fix: `Give a URL: new URL("./${name}.ts", import.meta.url); ` +
      `in CommonJS pathToFileURL(require.resolve("./${name}.cjs")).`,
  });
}

let count = 0;

/**
 * Starts a worker thread. Before the first line of its module runs, the thread is pinned, and takes its memory from its
 * node where the system permits that. It is pinned only to CPUs that this thread may use, or might if numakit had not
 * pinned it.
 *
 * The module's default export has to be the result of `worker(fn)`. The process stays alive until the thread has ended.
 *
 * @typeParam Result What the worker's function returns.
 * @param url The worker's module: `new URL("./worker.ts", import.meta.url)`.
 * @param options Where the thread runs, and its arguments.
 * @returns The thread.
 * @throws {NumaError} `ENODEV` no such node or CPU, or a node without CPUs, or memory is required of a place that has no
 * node; `EACCES` CPUs this process may not use, where something is required; `EINVAL` a bad argument or one that cannot be
 * cloned; `EAGAIN` no exclusive cores, or no threads, are left; `EPERM` on Node without `--allow-worker`; `EMODULE` in a
 * bundle without `worker_entry`. What goes wrong in the worker rejects `join()`, such as what is required and the system
 * refuses.
 *
 * @example
 * ```ts
 * import { launch, Policy } from "@numakit/numakit";
 *
 * const module = "data:text/javascript,export default ({ a, b }) => a + b";
 * const thread = launch<number>(module, { policy: Policy.bindNode(0), args: { a: 1, b: 2 } });
 * console.log(await thread.join()); // 3
 * ```
 */
export function launch<Result = unknown>(
  url: URL | string,
  options: LaunchOptions = {},
): Thread<Result> {
  const read = readOptions(options, OPTIONS, "launch a thread");
  const { policy = Policy.unbound(), args, transfer = [], place, bind = {}, nice } = read;
  const { name = `numakit-${++count}` } = read;
  const action = `launch thread ${show(name)}`;
  const href = checkUrl(url, "worker", action);
  if (typeof name !== "string") {
    throw new NumaError("EINVAL", action, { why: "its name is no text", fix: "Give a text." });
  }
  const known = checkPolicy(policy, action);
  const strengths = checkStrengths(bind, action);
  if (nice !== undefined) checkInteger(nice, "nice", -20, 19, action);
  const moved = checkTransfer(transfer, action);
  const seat = takeSeat(known, strengths, place, action);
  try {
    const lot = parkingLot();
    const { port1, port2 } = new (builtin("node:worker_threads").MessageChannel)();
    const birth: Birth = {
      channel: port2,
      url: href,
      args: encode(args),
      ...{ name, nice, wish: flattenWish(seat.wish), inherited: bequeath() },
      topology: topology().snapshot,
      moves: new Int32Array(new SharedArrayBuffer(4)),
      lot: lot.buffer,
      id: lot.claim(),
    };
    try {
      const worker = startWorker(birth, name, moved, action);
      return new Thread<Result>(worker, port1, birth, { seat, name });
    } catch (error) {
      port1.close();
      lot.release(birth.id);
      throw error;
    }
  } catch (error) {
    seat.free();
    throw error;
  }
}

function startWorker(
  birth: Birth,
  name: string,
  transfer: readonly object[],
  action: string,
): Worker {
  const entry = entryUrl(action);
  const transferList = [birth.channel, ...transfer] as MessagePort[];
  try {
    const { Worker } = builtin("node:worker_threads");
    return new Worker(entry, { workerData: { numakit: birth }, transferList, name });
  } catch (cause) {
    if (isPermissionError(cause)) throw permissionError(action, cause);
    throw cannotSend(action, "its arguments", cause);
  }
}
