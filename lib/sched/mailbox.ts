import type { MessageChannel, Worker } from "node:worker_threads";
import { builtin } from "../runtime/builtin.ts";
import { decode, encode } from "../base/handle.ts";
import { Listeners } from "../base/listeners.ts";
import { cannotSend } from "./message.ts";
import type { ThreadEvent } from "./thread_events.ts";
import { checkTransfer } from "./transfer.ts";

interface Held {
  readonly value: unknown;
  readonly transfer: readonly object[];
}

/**
 * The user's messages between a thread and its launcher, on the launcher's side; on the other side they are
 * `parentPort`'s.
 *
 * Deno drops messages that reach a worker before its module listens. So what is posted before the module has been
 * loaded is held here, already cloned: in a channel with both ends on this side.
 */
export class Mailbox {
  readonly #worker: Worker;
  readonly #thread: string;
  readonly #listeners: Listeners<Record<ThreadEvent, unknown>>;
  #held: MessageChannel | undefined;
  #isOpen = false;

  constructor(worker: Worker, thread: string) {
    this.#worker = worker;
    this.#thread = thread;
    this.#listeners = new Listeners(["message", "messageerror"], `listen to thread "${thread}"`);
    worker.on("message", (value) => this.#receive(value));
    worker.on("messageerror", (error) => this.#tell("messageerror", error));
  }

  /** The listeners of the thread. */
  get listeners(): Listeners<Record<ThreadEvent, unknown>> {
    return this.#listeners;
  }

  post(value: unknown, transfer: unknown): void {
    const action = `post a message to thread "${this.#thread}"`;
    const list = checkTransfer(transfer, action);
    const encoded = encode(value);
    try {
      if (this.#isOpen) this.#worker.postMessage(encoded, list as never);
      else this.#hold({ value: encoded, transfer: list });
    } catch (cause) {
      throw cannotSend(action, "it", cause);
    }
  }

  /** The module has been loaded: what was held is sent. */
  open(): void {
    this.#isOpen = true;
    if (this.#held === undefined) return;
    const { receiveMessageOnPort } = builtin("node:worker_threads");
    for (;;) {
      const next = receiveMessageOnPort(this.#held.port2) as { message: Held } | undefined;
      if (next === undefined) break;
      this.#worker.postMessage(next.message.value, next.message.transfer as never);
    }
    this.#drop();
  }

  /** The thread has ended: nobody hears any more. */
  close(): void {
    this.#isOpen = true;
    this.#drop();
  }

  #hold(message: Held): void {
    if (this.#held === undefined) {
      const { MessageChannel } = builtin("node:worker_threads");
      this.#held = new MessageChannel();
    }
    this.#held.port1.postMessage(message, message.transfer as never);
  }

  #drop(): void {
    this.#held?.port1.close();
    this.#held = undefined;
  }

  #receive(value: unknown): void {
    if (!this.#listeners.has("message")) return;
    let live: unknown;
    try {
      live = decode(value);
    } catch (error) {
      this.#tell("messageerror", error);
      return;
    }
    this.#tell("message", live);
  }

  #tell(event: ThreadEvent, value: unknown): void {
    if (event === "messageerror" && !this.#listeners.has(event)) {
      builtin("node:process").emitWarning(
        `a message of thread "${this.#thread}" could not be received: ${value}`,
      );
    }
    this.#listeners.tell(event, value);
  }
}
