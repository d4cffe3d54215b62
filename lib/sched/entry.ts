/**
 * A thread's life from the inside: pin, load, run, report, let go.
 *
 * @module
 */
import { parentPort, workerData } from "node:worker_threads";
import { Mapping } from "../memory/mapping/mapping.ts";
import { show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { decode, encode } from "../base/handle.ts";
import { isPermissionError, permissionError } from "../runtime/permission.ts";
import { nameThread, reniceThread, threadSelf } from "../runtime/thread.ts";
import { ParkingLot } from "../wait/parking_lot.ts";
import { joinLot, parkingLot } from "../wait/thread_waiter.ts";
import { inheritTopology } from "../topology/load.ts";
import { Topology } from "../topology/topology.ts";
import { sampleHeap } from "./binding/heap_sample.ts";
import { importModule } from "./import_module.ts";
import {
  type Birth,
  cannotSend,
  flatten,
  flattenBinding,
  type FromWorker,
  type Started,
  type ToWorker,
  unflattenWish,
} from "./message.ts";
import { obey } from "./move/obey.ts";
import { takePlace, tryTo } from "./binding/pin.ts";
import { transferOf } from "./transfer.ts";
import type { WorkerFunction } from "./worker.ts";

/**
 * The workers' modules that are numakit's own, by the URLs that `launch` is given for them. They are loaded with the entry,
 * because a bundle has no file for them.
 */
export type OwnModules = Readonly<Record<string, WorkerFunction<never, unknown>>>;

type Report = (message: FromWorker, transfer?: readonly object[]) => void;

/** Takes the thread's place before anything else allocates in it. */
function settle(birth: Birth): Started {
  joinLot(birth.lot, "start a thread", birth.id);
  const { identity, tid } = threadSelf();
  parkingLot().setIdentity(birth.id, identity);
  const { name, nice, wish, inherited } = birth;
  const binding = takePlace(unflattenWish(wish), inherited);
  // A courtesy to tools: where the system refuses it, the thread runs without.
  tryTo(() => nameThread(name));
  if (nice !== undefined) reniceThread(identity, nice, `start thread "${name}" with nice ${nice}`);
  inheritTopology(Topology.from(birth.topology));
  return { type: "started", tid, identity, binding: flattenBinding(binding) };
}

/** Samples the heap for somebody who has asked. */
function sampleFor(request: number): FromWorker {
  try {
    return { type: "sampled", request, sample: sampleHeap() };
  } catch (error) {
    return { type: "unsampled", request, error: flatten(error) };
  }
}

/** Whether an import failed because the module itself is not there, rather than in its code. */
function isMissing(error: unknown): boolean {
  const { code, name, message } = Object(error) as Record<string, unknown>;
  return code === "ERR_MODULE_NOT_FOUND" || name === "ResolveMessage" ||
    /^(Module not found|Cannot find module)/.test(String(message));
}

async function loadBody(url: string, own: OwnModules): Promise<WorkerFunction<unknown, unknown>> {
  if (Object.hasOwn(own, url)) return own[url] as WorkerFunction<unknown, unknown>;
  const action = `load the worker module ${url}`;
  let module: { default?: unknown };
  try {
    module = await importModule(url);
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    if (isPermissionError(cause)) throw permissionError(action, cause);
    throw new NumaError("EMODULE", action, {
      why: cause instanceof Error ? cause.message : String(cause),
      fix: 'Check the path: new URL("./worker.ts", import.meta.url) is relative to the caller.',
      cause,
    });
  }
  // What compilers make CommonJS of has its default export in what is the module's default here.
  const inner = (Object(module.default) as { default?: unknown }).default;
  const body = typeof module.default === "function" ? module.default : inner;
  if (typeof body === "function") return body as never;
  throw new NumaError("EMODULE", action, {
    why: `its default export is ${show(module.default)}`,
    fix: "Write `export default worker((args) => …)` in it.",
  });
}

async function run(birth: Birth, own: OwnModules, report: Report): Promise<void> {
  try {
    report(settle(birth));
    const body = await loadBody(birth.url, own);
    report({ type: "loaded" });
    // Terminated while it was loading: its body must not begin.
    if (parkingLot().stopped(birth.id)) return;
    const result = await body(decode(birth.args));
    const value = encode(result);
    try {
      report({ type: "done", value }, transferOf(result));
    } catch (cause) {
      throw cannotSend("return the thread's result", "it", cause);
    }
  } catch (error) {
    const flat = flatten(error);
    try {
      report({ type: "failed", error: flat });
    } catch {
      // What was thrown cannot be cloned; its text can.
      report({ type: "failed", error: { ...flat, thrown: undefined } });
    }
  }
}

/**
 * Takes what the launcher sent, and leaves nothing of it for the user's module to find.
 *
 * @throws {NumaError} `EINVAL` when this is not the first module of a worker that `launch` started.
 */
function takeBirth(): Birth {
  const data = workerData as { numakit?: Birth } | null;
  const birth = data?.numakit;
  if (birth === undefined) {
    throw new NumaError("EINVAL", "run worker_entry", {
      why: "it is the first module of a thread that launch() starts",
      fix: "Import numakit's main module instead.",
    });
  }
  delete (data as { numakit?: Birth }).numakit;
  return birth;
}

/**
 * Runs the thread that this worker was started for.
 *
 * @param all The main module, so that a bundler keeps every class whose objects may come here.
 * @param own Workers' modules that are numakit's own.
 * @throws {NumaError} `EINVAL` when the module is not the first one of a worker that `launch` started.
 */
export function runEntry(all: object, own: OwnModules): void {
  const birth = takeBirth();
  if (Object.keys(all).length === 0) {
    throw new NumaError("EMODULE", "run worker_entry", {
      why: "numakit's classes are missing in this bundle",
      fix: "Make numakit/worker_entry an entry point that the bundler leaves as it is.",
    });
  }
  const { channel } = birth;
  if (ParkingLot.from(birth.lot, "start a thread").stopped(birth.id)) return channel.close();
  // Bound now: the user's module may put other functions in their places, and these are not about its ports.
  const post = channel.postMessage.bind(channel) as (value: unknown, list: unknown) => void;
  const unref = channel.unref.bind(channel);
  const userPort = parentPort;
  channel.on("message", (message: ToWorker) => {
    if (message.type === "sample") return post(sampleFor(message.request), []);
    if (message.type !== "leave") {
      const answer = obey(message, birth);
      if (answer !== undefined) post(answer, []);
      return;
    }
    Mapping.releaseAll();
    // Not process.exit: when terminate() comes at the same time, a worker of Deno hangs forever.
    unref();
    userPort?.unref();
  });
  void run(birth, own, (message, transfer = []) => post(message, transfer));
}
