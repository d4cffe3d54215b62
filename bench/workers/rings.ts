/**
 * Sends and takes records, in a thread of its own: what `bench/rings.ts` measures.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { RingBuffer } from "ringbuf.js";
import { currentCpu, type SpscRing, worker, type WorkerFunction } from "../../mod.ts";

/** How two threads hand records over. */
export type Way =
  | { readonly kind: "ring"; readonly there: SpscRing; readonly back: SpscRing }
  /** The storage of a ring of ringbuf.js. */
  | { readonly kind: "ringbuf"; readonly storage: SharedArrayBuffer }
  /** A word each, in lines of their own. */
  | { readonly kind: "words"; readonly words: Int32Array }
  | { readonly kind: "port"; readonly port: MessagePort };

/** What a thread does. */
export interface RingsTask {
  readonly way: Way;
  /** The one that is timed takes them; the other one sends. Both to and fro. */
  readonly role: "timed" | "other";
  readonly echo: boolean;
  /** Records, and how many at a time. */
  readonly count: number;
  readonly batch: number;
}

/** What came of it. */
export interface RingsResult {
  /** Nanoseconds a record. */
  readonly cost: number;
  readonly cpu: number;
}

/** A part of the records is for compiling. */
const WARM_UP = 4;
/** Messages that are on their way at the same time. */
const WINDOW = 64;

const pause: () => void = (Atomics as { pause?: () => void }).pause?.bind(Atomics) ?? (() => {});

function send(ring: SpscRing, records: Int32Array): void {
  while (!ring.tryPush(records)) pause();
}

function take(ring: SpscRing, records: Int32Array): number {
  for (;;) {
    const count = ring.tryPop(records);
    if (count > 0) return count;
    pause();
  }
}

/** Does its part for so many records. */
function overRings(
  { way: { there, back }, role, echo, batch }: RingsTask & { way: Way & { kind: "ring" } },
  count: number,
): void {
  const records = new Int32Array(batch);
  const isTimed = role === "timed";
  for (let done = 0; done < count;) {
    if (echo) {
      if (isTimed) send(there, records);
      done += take(isTimed ? back : there, records);
      if (!isTimed) send(back, records);
    } else if (isTimed) {
      done += take(there, records);
    } else {
      for (let at = 0; at < batch; at++) records[at] = done + at;
      send(there, records);
      done += batch;
    }
  }
}

/** One way only: a batch is taken in parts, as it comes. */
function overRingbuf(
  { way: { storage }, role, batch }: RingsTask & { way: Way & { kind: "ringbuf" } },
  count: number,
): void {
  const ring = new RingBuffer(storage, Int32Array);
  const records = new Int32Array(batch);
  for (let done = 0; done < count;) {
    if (role === "timed") {
      const got = ring.pop(records);
      if (got === 0) pause();
      done += got;
    } else {
      for (let at = 0; at < batch; at++) records[at] = done + at;
      for (let sent = 0; sent < batch;) {
        const put = ring.push(records, batch - sent, sent);
        if (put === 0) pause();
        sent += put;
      }
      done += batch;
    }
  }
}

const MINE = { timed: 0, other: 32 } as const;

/** To and fro: each writes its own word, and waits for the other one's. */
function overWords(
  { words, role }: { words: Int32Array; role: RingsTask["role"] },
  count: number,
  from: number,
): void {
  const mine = MINE[role];
  const other = role === "timed" ? MINE.other : MINE.timed;
  for (let turn = from + 1; turn <= from + count; turn++) {
    if (role === "timed") Atomics.store(words, mine, turn);
    while (Atomics.load(words, other) !== turn) pause();
    if (role === "other") Atomics.store(words, mine, turn);
  }
}

function next(port: MessagePort): Promise<unknown> {
  return new Promise((resolve) => port.once("message", resolve));
}

/** Messages of a batch each; `WINDOW` of them before the taker says that it has them. */
async function overPort(
  { way: { port }, role, echo, batch }: RingsTask & { way: Way & { kind: "port" } },
  count: number,
): Promise<void> {
  const records = new Int32Array(batch);
  const window = echo ? 1 : WINDOW;
  for (let done = 0; done < count; done += window * batch) {
    const sends = echo || role === "other";
    if (role === "timed" && !echo) {
      for (let got = 0; got < window; got++) {
        if (receiveMessageOnPort(port) === undefined) await next(port);
      }
      port.postMessage(0);
    } else if (role === "other" && echo) {
      await next(port);
      port.postMessage(records);
    } else if (sends) {
      for (let sent = 0; sent < window; sent++) port.postMessage(records);
      await next(port);
    }
  }
}

async function run(task: RingsTask, count: number, from: number): Promise<void> {
  const { way, role } = task;
  if (way.kind === "ring") overRings({ ...task, way }, count);
  else if (way.kind === "ringbuf") overRingbuf({ ...task, way }, count);
  else if (way.kind === "words") overWords({ words: way.words, role }, count, from);
  else await overPort({ ...task, way }, count);
}

async function measure(task: RingsTask): Promise<RingsResult> {
  const { count, way } = task;
  await run(task, count / WARM_UP, 0);
  const start = performance.now();
  await run(task, count, count / WARM_UP);
  const cost = (performance.now() - start) * 1e6 / count;
  if (way.kind === "port") way.port.close();
  return { cost, cpu: currentCpu() };
}

const body: WorkerFunction<RingsTask, RingsResult> = worker(measure);
export default body;
