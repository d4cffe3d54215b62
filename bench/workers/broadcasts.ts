/**
 * Publishes records or gets them, in a thread of its own: what `bench/crowds.ts` measures. The producer is never more
 * than some batches ahead of the slowest consumer, so that all get all.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { type BroadcastRing, currentCpu, worker, type WorkerFunction } from "../../mod.ts";

/** What records go through. */
export type Medium =
  | { readonly kind: "ring"; readonly ring: BroadcastRing }
  /** The producer's, one for each consumer; or a consumer's. */
  | { readonly kind: "ports"; readonly ports: readonly MessagePort[] }
  | { readonly kind: "channel"; readonly name: string };

/** What a thread does. */
export interface BroadcastsTask {
  readonly medium: Medium;
  /** 0 for the producer, then the consumers. */
  readonly index: number;
  readonly consumers: number;
  readonly count: number;
  /** How many records each consumer has, in lines of their own; -1 until it is there. */
  readonly done: Int32Array;
}

/** What came of it. */
export interface BroadcastsResult {
  /** Nanoseconds a record, until all consumers had all: the producer's. */
  readonly cost: number;
  readonly missed: number;
  readonly cpu: number;
}

const BATCH = 8;
/** Records between two looks at the consumers, and how many of them may not have been read. */
const WINDOW = 512;
const LINE = 32;
const WARM_UP = 4;

/** Waits until each consumer has so many. Messages leave at the event loop only, on some runtimes. */
async function waitFor(
  { done, consumers, medium }: BroadcastsTask,
  count: number,
): Promise<void> {
  for (let index = 1; index <= consumers; index++) {
    for (;;) {
      const has = Atomics.load(done, index * LINE);
      if (has >= count) break;
      if (medium.kind === "ring") Atomics.wait(done, index * LINE, has, 100);
      else await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function tell({ done, index }: BroadcastsTask, count: number): void {
  Atomics.store(done, index * LINE, count);
  Atomics.notify(done, index * LINE);
}

/** How records are published. */
function publisherOf(medium: Medium): {
  publish(records: Int32Array): void;
  close(): void;
} {
  if (medium.kind === "ring") {
    if (!medium.ring.adopt()) throw new Error("the ring has a producer");
    return { publish: (records) => medium.ring.publish(records), close: () => {} };
  }
  if (medium.kind === "ports") {
    return {
      publish: (records) => medium.ports.forEach((port) => port.postMessage(records)),
      close: () => medium.ports.forEach((port) => port.close()),
    };
  }
  const channel = new BroadcastChannel(medium.name);
  return { publish: (records) => channel.postMessage(records), close: () => channel.close() };
}

/** Publishes so many, after `from`. */
async function publish(
  task: BroadcastsTask,
  publisher: ReturnType<typeof publisherOf>,
  from: number,
  to: number,
): Promise<void> {
  const records = new Int32Array(BATCH);
  for (let at = from; at < to; at += BATCH) {
    for (let index = 0; index < BATCH; index++) records[index] = at + index;
    publisher.publish(records);
    if ((at + BATCH) % WINDOW === 0) await waitFor(task, at + BATCH - WINDOW);
  }
  await waitFor(task, to);
}

async function produce(task: BroadcastsTask): Promise<number> {
  const publisher = publisherOf(task.medium);
  const { count } = task;
  // All are there.
  await waitFor(task, 0);
  await publish(task, publisher, 0, count / WARM_UP);
  const start = performance.now();
  await publish(task, publisher, count / WARM_UP, count / WARM_UP + count);
  const cost = (performance.now() - start) * 1e6 / count;
  publisher.close();
  return cost;
}

/** Returns how many it has missed. */
function readRing(task: BroadcastsTask, ring: BroadcastRing, last: number): number {
  const consumer = ring.subscribe({ from: "oldest" });
  tell(task, 0);
  const records = new Int32Array(WINDOW);
  for (let has = 0; has < last;) {
    has += consumer.read(records);
    tell(task, has + consumer.missed);
  }
  return consumer.missed;
}

async function readPort(task: BroadcastsTask, port: MessagePort, last: number): Promise<void> {
  tell(task, 0);
  for (let has = 0; has < last;) {
    if (receiveMessageOnPort(port) === undefined) {
      await new Promise((resolve) => port.once("message", resolve));
    }
    has += BATCH;
    if (has % (WINDOW / 2) === 0) tell(task, has);
  }
  port.close();
}

function readChannel(task: BroadcastsTask, name: string, last: number): Promise<void> {
  const channel = new BroadcastChannel(name);
  return new Promise((resolve) => {
    let has = 0;
    channel.onmessage = () => {
      has += BATCH;
      if (has % (WINDOW / 2) === 0) tell(task, has);
      if (has < last) return;
      channel.close();
      resolve();
    };
    tell(task, 0);
  });
}

async function consume(task: BroadcastsTask): Promise<number> {
  const { medium, count } = task;
  const last = count / WARM_UP + count;
  if (medium.kind === "ring") return readRing(task, medium.ring, last);
  if (medium.kind === "channel") await readChannel(task, medium.name, last);
  else await readPort(task, medium.ports[0] as MessagePort, last);
  return 0;
}

async function run(task: BroadcastsTask): Promise<BroadcastsResult> {
  if (task.index === 0) return { cost: await produce(task), missed: 0, cpu: currentCpu() };
  const missed = await consume(task);
  return { cost: 0, missed, cpu: currentCpu() };
}

const body: WorkerFunction<BroadcastsTask, BroadcastsResult> = worker(run);
export default body;
