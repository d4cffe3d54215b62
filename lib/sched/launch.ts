import type { MessagePort, Worker } from "node:worker_threads";
import { builtin } from "../runtime/builtin.ts";
import { checkInteger, checkOptions, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { encode } from "../base/handle.ts";
import { isPermissionError, permissionError } from "../runtime/permission.ts";
import { topology } from "../topology/load.ts";
import { parkingLot } from "../wait/thread_waiter.ts";
import { spareHelpers } from "./helpers.ts";
import { type Birth, cannotSend } from "./message.ts";
import { bequeath, type HeapPolicy } from "./pin.ts";
import { plan, type ThreadPlacement } from "./plan.ts";
import { Policy } from "./policy.ts";
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
  /** A name that error messages use. Default: `numakit-` and a number. */
  readonly name?: string;
  /**
   * The index of its place in the policy, from 0. Default: the lowest that no live thread of an equal policy has.
   */
  readonly place?: number;
  /** Where the thread's own heap is placed; {@linkcode Thread.heap} reports the result. Default: `"prefer"`. */
  readonly heap?: HeapPolicy;
}

/** The names of the options, as errors show them. */
const OPTIONS = "{ policy, args, transfer, name, place, heap }";

/** Places in use, by policy. */
const places = /* @__PURE__ */ new Map<string, Set<number>>();

function choosePlace(policy: Policy, asked: number | undefined): { place: number; free(): void } {
  const key = JSON.stringify(policy);
  const taken = places.get(key) ?? new Set();
  places.set(key, taken);
  let place = asked ?? 0;
  while (asked === undefined && taken.has(place)) place++;
  taken.add(place);
  return {
    place,
    free(): void {
      taken.delete(place);
    },
  };
}

function checkUrl(url: URL | string, action: string): string {
  const text = String(url);
  if ((url instanceof URL || typeof url === "string") && URL.canParse(text)) return text;
  throw new NumaError("EINVAL", action, {
    why: `the module is ${show(url)}`,
    fix: 'Give a URL: new URL("./worker.ts", import.meta.url).',
  });
}

let count = 0;

/**
 * Starts a worker thread. Before the first line of its module runs, the thread is pinned, and takes its memory from its
 * node where the system permits that.
 *
 * The module's default export has to be the result of `worker(fn)`. The process stays alive until the thread has ended.
 *
 * @typeParam Result What the worker's function returns.
 * @param url The worker's module: `new URL("./worker.ts", import.meta.url)`.
 * @param options Where the thread runs, and its arguments.
 * @returns The thread.
 * @throws {NumaError} `ENODEV` no such node or CPU, or a node without CPUs; `EACCES` CPUs this process may not use;
 * `EINVAL` a bad argument or one that cannot be cloned; `EPERM` on Node without `--allow-worker`;
 * `EMODULE` in a bundle without `worker_entry`. What goes wrong in the worker rejects `join()`.
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
  checkOptions(options, OPTIONS, "launch a thread");
  const { policy: given = Policy.unbound(), heap = "prefer" } = options;
  const policy = typeof given === "string" ? Policy.parse(given) : given;
  const name = options.name ?? `numakit-${++count}`;
  const action = `launch thread "${name}"`;
  const href = checkUrl(url, action);
  if (!(policy instanceof Policy) || !["prefer", "bind", "default"].includes(heap)) {
    throw new NumaError("EINVAL", action, {
      why: policy instanceof Policy ? `heap is ${show(heap)}` : `policy is ${show(policy)}`,
      fix: 'Give a Policy such as Policy.bindNode(0), and a heap of "prefer", "bind" or "default".',
    });
  }
  if (options.place !== undefined) checkInteger(options.place, "place", 0, 65535, action);
  const transfer = checkTransfer(options.transfer ?? [], action);
  const machine = topology();
  const { place, free } = choosePlace(policy, options.place);
  try {
    const placement = plan(machine, policy, place + 1)[place] as ThreadPlacement;
    const lot = parkingLot();
    const { port1, port2 } = new (builtin("node:worker_threads").MessageChannel)();
    const birth: Birth = {
      channel: port2,
      url: href,
      args: encode(options.args),
      cpus: policy.kind === "unbound" ? null : placement.cpus.toString(),
      node: placement.node ?? null,
      heap,
      inherited: bequeath(),
      topology: machine.snapshot,
      lot: lot.buffer,
      id: lot.claim(),
    };
    let spared = (): void => {};
    const ended = (): void => {
      free();
      spared();
    };
    try {
      if (policy.kind !== "unbound") spared = spareHelpers();
      const worker = startWorker(birth, name, transfer, action);
      return new Thread<Result>(worker, port1, birth.id, { placement, name, ended });
    } catch (error) {
      spared();
      port1.close();
      lot.release(birth.id);
      throw error;
    }
  } catch (error) {
    free();
    throw error;
  }
}

function isThere(file: URL, action: string): boolean {
  try {
    return builtin("node:fs").existsSync(file);
  } catch (cause) {
    throw permissionError(action, cause);
  }
}

function entryUrl(action: string): URL {
  // The entry has the ending of the module that asks: .ts in a checkout and on JSR, .js in the npm package.
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  // A bundle has no lib/sched: there the entry is expected beside it, as docs/packages.md says.
  const bundled = !import.meta.url.endsWith(`/lib/sched/launch.${ending}`);
  const entry = new URL(`${bundled ? "." : "../.."}/worker_entry.${ending}`, import.meta.url);
  if (bundled && !isThere(entry, action)) {
    throw new NumaError("EMODULE", action, {
      why: `numakit is in a bundle, and ${entry.href} is not there`,
      fix:
        "Make a module worker_entry that imports numakit/worker_entry another entry point of the bundle.",
    });
  }
  // Workers start from file: and data: only; a module that came over https is imported from there.
  return entry.protocol === "file:"
    ? entry
    : new URL(`data:text/javascript,import ${encodeURIComponent(JSON.stringify(entry.href))}`);
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
