/**
 * Workers that listen on one port, each pinned to CPUs of its own, until SIGTERM or SIGINT.
 */
import { CpuSet, Latch, launch, Policy, type Thread, topology } from "@numakit/numakit";
import process from "node:process";
import { parseArgs } from "node:util";
import { parentPort } from "node:worker_threads";
import { handlerOf, type Store } from "./handler.ts";
import { listen } from "./http.ts";

/** What each worker is told; its store comes on top of it. */
export interface WorkerArgs {
  readonly worker: number;
  readonly hostname: string;
  readonly port: number;
  /** Opens when it is time to stop. */
  readonly stop: Latch;
}

/** What a worker's store is made of, and the ports among that. */
export interface StoreArgs {
  readonly args: object;
  readonly transfer?: readonly object[];
}

/** The options that all servers have. */
export interface Options {
  readonly hostname: string;
  readonly port: number;
  /** Bytes for values, of all workers. */
  readonly capacity: number;
  /** One worker for each L3 domain, or each CPU. */
  readonly per: "domain" | "cpu";
  /** Whether values are wherever the kernel puts them: for containers that may not place memory on nodes. */
  readonly unplaced: boolean;
}

/** Reads the command line. */
export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      hostname: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "8080" },
      /** MiB. */
      capacity: { type: "string", default: "64" },
      per: { type: "string", default: topology().domains.length > 1 ? "domain" : "cpu" },
      unplaced: { type: "boolean", default: false },
    },
  });
  const { port, capacity, per } = values;
  if (per !== "domain" && per !== "cpu") throw new Error(`--per is ${per}: give domain or cpu`);
  return { ...values, per, port: Number(port), capacity: Number(capacity) * 2 ** 20 };
}

/** The CPUs of each worker: of those that this process may use. */
export function placesOf({ per }: Options): readonly CpuSet[] {
  const { domains, allowedCpus, effectiveCpus } = topology();
  if (per === "cpu") return [...allowedCpus].slice(0, effectiveCpus).map((cpu) => CpuSet.of(cpu));
  return domains.map((cpus) => cpus.intersection(allowedCpus)).filter(({ size }) => size > 0);
}

/** Starts the workers; resolves when they have stopped. */
export async function serve(
  module: URL,
  options: Options,
  storeOf: (worker: number) => StoreArgs,
): Promise<void> {
  const { hostname } = options;
  let { port } = options;
  const stop = Latch.create(new SharedArrayBuffer(Latch.bytes()), 1);
  const end = (): void => void stop.countDown();
  const threads: Thread[] = [];
  try {
    for (const [worker, cpus] of placesOf(options).entries()) {
      const { args, transfer = [] } = storeOf(worker);
      const thread = launch(module, {
        name: `worker ${worker}`,
        policy: Policy.bindCpus(cpus),
        args: { ...args, worker, hostname, port, stop } satisfies WorkerArgs,
        transfer,
      });
      threads.push(thread);
      // The first one finds a port, if it is 0.
      port = await firstMessage(thread) as number;
      console.log(`${thread.name} on CPUs ${cpus}: http://${hostname}:${port}`);
    }
    process.once("SIGTERM", end).once("SIGINT", end);
    console.log("ready");
    await Promise.all(threads.map((thread) => thread.join()));
  } finally {
    end();
    process.off("SIGTERM", end).off("SIGINT", end);
    await Promise.allSettled(threads.map((thread) => thread.join()));
  }
}

/** Rejects if the thread ends before it has said anything. */
function firstMessage(thread: Thread): Promise<unknown> {
  const ended = thread.join().then(() => Promise.reject(new Error(`${thread.name} has ended`)));
  return Promise.race([new Promise((resolve) => thread.on("message", resolve)), ended]);
}

/** What a worker does, with its store. */
export async function runWorker(store: Store, args: WorkerArgs): Promise<void> {
  const server = await listen(handlerOf(store, args.worker), args);
  parentPort?.postMessage(server.port);
  await args.stop.waitAsync();
  await server.close();
}
