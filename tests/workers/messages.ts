// What tests/sched/thread_messages_test.ts runs in threads: a module that talks through its own parentPort.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { MessagePort, parentPort, workerData } from "node:worker_threads";
import { type Arena, fromHandles, toHandles, transfer, worker } from "../../mod.ts";

export interface Task {
  readonly task: string;
  readonly values?: readonly unknown[];
  readonly port?: MessagePort;
  readonly buffer?: ArrayBuffer;
  readonly arena?: Arena;
}

const port = parentPort as MessagePort;

/** The next message of the launcher's. */
function receive(from: MessagePort = port): Promise<unknown> {
  return new Promise((resolve) => from.once("message", resolve));
}

const tasks = {
  async post({ values = [] }: Task) {
    for (const value of values) port.postMessage(value);
    await sleep(20);
    return "the result";
  },
  burst() {
    for (let index = 0; index < 1000; index++) port.postMessage(index);
    return "the result";
  },
  burstAndThrow() {
    for (let index = 0; index < 1000; index++) port.postMessage(index);
    throw new RangeError("after the messages");
  },
  async burstAndExit() {
    for (let index = 0; index < 1000; index++) port.postMessage(index);
    // Deno and Node send what was posted when the thread is back at its event loop.
    await sleep(20);
    process.exit(4);
  },
  returnAndExit() {
    queueMicrotask(() => setTimeout(() => process.exit(4)));
    return "the result";
  },
  async echo() {
    const heard: unknown[] = [];
    const all = new Promise<void>((resolve) => {
      port.on("message", (value: unknown) => {
        if (value === "enough") return resolve();
        heard.push(value);
        port.postMessage(value);
      });
    });
    await all;
    return heard;
  },
  async listenForEver() {
    port.on("message", () => {});
    await sleep(1);
    return "the result";
  },
  async closeOwnPort() {
    (port as { close?(): void }).close?.();
    await sleep(20);
    return "the result";
  },
  look: () => Object.keys((workerData ?? {}) as object),
  async takeOverPrototype() {
    MessagePort.prototype.postMessage = () => {};
    await sleep(1);
    return "the result";
  },
  async usePort({ port: given, buffer }: Task) {
    const answer = receive(given as MessagePort);
    given?.postMessage(buffer?.byteLength);
    return await answer;
  },
  async answerAtPort() {
    (await receive() as MessagePort).postMessage("heard");
    // Deno and Node send what was posted when the thread is back at its event loop.
    await sleep(20);
    return "the result";
  },
  giveBack({ buffer }: Task) {
    const { port1, port2 } = new MessageChannel();
    const made = new Uint8Array(buffer ?? new ArrayBuffer(16)).fill(7).buffer;
    port1.postMessage("through the port");
    return transfer({ port: port2, made }, [port2, made]);
  },
  async live() {
    const { arena } = fromHandles(await receive()) as { arena: Arena };
    arena.allocUint8(4).fill(9);
    port.postMessage(toHandles({ again: [arena] }));
    await receive();
  },
  badHandle() {
    port.postMessage({ numakitHandle: "nothing that exists", data: {} });
    port.postMessage("after it");
    return "the result";
  },
};

export default worker((task: Task): unknown => tasks[task.task as keyof typeof tasks](task));
