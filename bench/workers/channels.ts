/**
 * Sends and receives messages, in a thread of its own: what `bench/channels.ts` measures.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { type Channel, currentCpu, worker, type WorkerFunction } from "../../mod.ts";

/** How two threads hand messages over. */
export type Link =
  | {
    readonly kind: "channel";
    readonly there: Channel<never>;
    readonly back: Channel<never>;
    readonly codec: "bytes" | "f64";
  }
  | { readonly kind: "port"; readonly port: MessagePort };

/** What a thread does. */
export interface ChannelsTask {
  readonly link: Link;
  /** The one that is timed receives; the other one sends. Both to and fro. */
  readonly role: "timed" | "other";
  readonly echo: boolean;
  /** Whether it awaits messages, and does not spin. */
  readonly sleeps: boolean;
  /** Messages, and how many at a time. */
  readonly count: number;
  readonly batch: number;
  /** Bytes of one. */
  readonly bytes: number;
}

/** What came of it. */
export interface ChannelsResult {
  /** Nanoseconds a message. */
  readonly cost: number;
  readonly cpu: number;
}

/** A part of the messages is for compiling. */
const WARM_UP = 4;
/** Messages that are on their way at the same time. */
const WINDOW = 64;

const pause: () => void = (Atomics as { pause?: () => void }).pause?.bind(Atomics) ?? (() => {});

function send<T>(channel: Channel<T>, values: readonly T[]): void {
  if (values.length === 1) {
    while (!channel.trySend(values[0] as T)) pause();
    return;
  }
  for (let sent = 0; sent < values.length;) {
    const count = channel.trySendMany(sent === 0 ? values : values.slice(sent));
    if (count === 0) pause();
    sent += count;
  }
}

/** Receives a message, or in batches as many as there are up to a number. */
function receive<T>(channel: Channel<T>, batch: number, limit: number): number {
  for (;;) {
    if (batch === 1) {
      if (channel.tryReceive() !== undefined) return 1;
    } else {
      const { length } = channel.tryReceiveMany(limit);
      if (length > 0) return length;
    }
    pause();
  }
}

type Over = ChannelsTask & { readonly link: Link & { readonly kind: "channel" } };

async function overChannels(
  { link: { there, back, codec }, role, echo, batch, bytes, sleeps }: Over,
  count: number,
): Promise<void> {
  const value = codec === "f64" ? 1.5 : new Uint8Array(bytes);
  const values = new Array<never>(batch).fill(value as never);
  const isTimed = role === "timed";
  for (let done = 0; done < count;) {
    if (sleeps) {
      if (isTimed) await there.sendAsync(value as never);
      await (isTimed ? back : there).receiveAsync();
      if (!isTimed) await back.sendAsync(value as never);
      done++;
    } else if (echo) {
      if (isTimed) send(there, values);
      done += receive(isTimed ? back : there, batch, batch);
      if (!isTimed) send(back, values);
    } else if (isTimed) {
      done += receive(there, batch, count - done);
    } else {
      send(there, values);
      done += batch;
    }
  }
}

function next(port: MessagePort): Promise<unknown> {
  return new Promise((resolve) => port.once("message", resolve));
}

/** `WINDOW` messages before the receiver says that it has them. */
async function overPort(
  { link: { port }, role, echo, bytes }: ChannelsTask & { link: Link & { kind: "port" } },
  count: number,
): Promise<void> {
  const message = new Uint8Array(bytes);
  const window = echo ? 1 : WINDOW;
  for (let done = 0; done < count; done += window) {
    if (role === "timed" && !echo) {
      for (let got = 0; got < window; got++) {
        if (receiveMessageOnPort(port) === undefined) await next(port);
      }
      port.postMessage(0);
    } else if (role === "other" && echo) {
      await next(port);
      port.postMessage(message);
    } else {
      for (let sent = 0; sent < window; sent++) port.postMessage(message);
      await next(port);
    }
  }
}

async function run(task: ChannelsTask, count: number): Promise<void> {
  const { link } = task;
  if (link.kind === "channel") await overChannels({ ...task, link }, count);
  else await overPort({ ...task, link }, count);
}

async function measure(task: ChannelsTask): Promise<ChannelsResult> {
  const { count, link } = task;
  await run(task, count / WARM_UP);
  const start = performance.now();
  await run(task, count);
  const cost = (performance.now() - start) * 1e6 / count;
  if (link.kind === "port") link.port.close();
  return { cost, cpu: currentCpu() };
}

const body: WorkerFunction<ChannelsTask, ChannelsResult> = worker(measure);
export default body;
