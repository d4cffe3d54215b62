/**
 * Results that come by messages. Of each there are two things, in any order: the message, and the task's name, which was
 * handed in.
 *
 * @module
 */
import { decode } from "../../base/handle.ts";
import { NumaError } from "../../base/error.ts";
import { textOf } from "../../sched/message.ts";
import { type FromPoolWorker, unflattenTaskError } from "../pool/pool_messages.ts";

/** What it knows of tasks, and tells of them. */
export interface MailEvents {
  /** Whether a task has not ended yet. */
  has(name: number): boolean;
  /** What a task is, as it follows "Cannot". */
  actionOf(name: number): string;
  /** A task has a result. */
  settle(worker: number, name: number, value: unknown): void;
  /** A task has failed. */
  reject(worker: number, name: number, error: unknown): void;
}

interface Missed {
  count: number;
  error: unknown;
}

/** The results that are on their way. */
export class ResultMail {
  readonly #events: MailEvents;
  /** Messages of tasks that have not been handed in. */
  readonly #heard = new Map<number, FromPoolWorker>();
  /** Tasks that were handed in without, and by which worker. */
  readonly #awaited = new Map<number, number>();
  /** How many messages of each worker were lost whose tasks are not known yet, and why the last one was. */
  readonly #missed: readonly Missed[];

  /**
   * @param workers How many workers there are.
   * @param events What it knows of tasks, and tells of them.
   */
  constructor(workers: number, events: MailEvents) {
    this.#events = events;
    this.#missed = Array.from({ length: workers }, () => ({ count: 0, error: undefined }));
  }

  /** The workers of which a message is waited for. */
  get senders(): ReadonlySet<number> {
    return new Set(this.#awaited.values());
  }

  /** How many messages are waited for. */
  get size(): number {
    return this.#awaited.size;
  }

  /** Whether the message of a task has come before the task was handed in. */
  isHeard(name: number): boolean {
    return this.#heard.has(name);
  }

  /** A task was handed in whose result comes by a message. */
  look(worker: number, name: number): void {
    this.#awaited.set(name, worker);
    const heard = this.#heard.get(name);
    if (heard === undefined) return this.#lookForMissed(worker);
    this.#heard.delete(name);
    this.hear(worker, heard);
  }

  /** A worker has posted a message. */
  hear(worker: number, message: FromPoolWorker): void {
    if (message.type === "ready" || message.type === "begun") return;
    const { name } = message;
    if (!this.#events.has(name)) return;
    if (!this.#awaited.delete(name)) {
      this.#heard.set(name, message);
      return;
    }
    if (message.type === "failed") {
      return this.#events.reject(worker, name, unflattenTaskError(message.error));
    }
    let value: unknown;
    try {
      value = decode(message.value);
    } catch (error) {
      return this.#events.reject(worker, name, error);
    }
    this.#events.settle(worker, name, value);
  }

  /**
   * A message of a worker cannot be received. Messages come in the order in which they were posted, so it is that of the first
   * task that is handed in and whose message has not come.
   *
   * @param worker The worker.
   * @param error Why not.
   */
  miss(worker: number, error: unknown): void {
    const missed = this.#missed[worker] as Missed;
    missed.count++;
    missed.error = error;
    this.#lookForMissed(worker);
  }

  #lookForMissed(worker: number): void {
    const missed = this.#missed[worker] as Missed;
    if (missed.count === 0) return;
    for (const [name, by] of [...this.#awaited]) {
      if (by !== worker || missed.count === 0 || !this.#awaited.delete(name)) continue;
      missed.count--;
      const { error } = missed;
      this.#events.reject(
        worker,
        name,
        new NumaError("EINVAL", this.#events.actionOf(name), {
          why: `its result cannot be received (${
            error instanceof Error ? error.message : textOf(error)
          })`,
          fix: "Return what this thread can make a copy of.",
          cause: error,
        }),
      );
    }
  }

  /**
   * A worker's thread is gone, and all that it has posted was heard.
   *
   * @param worker The worker.
   * @returns The tasks that it has handed in without a message.
   */
  bury(worker: number): readonly number[] {
    (this.#missed[worker] as Missed).count = 0;
    return [...this.#awaited].filter(([, by]) => by === worker).map(([name]) => name);
  }

  /** Waits for nothing of a task any more. */
  forget(name: number): void {
    this.#awaited.delete(name);
    this.#heard.delete(name);
  }
}
