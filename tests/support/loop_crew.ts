/**
 * A small crew of threads, for tests of parallel loops and of fork and join: each runs what it is posted, one after the
 * other.
 *
 * @module
 */
import { launch, type LaunchOptions, type Thread } from "../../mod.ts";
import type { ThreadPlacement } from "../../lib/sched/policies/plan.ts";
import { type FlatError, unflatten } from "../../lib/sched/message.ts";
import type { Crew } from "../../lib/tasks/crew/crew.ts";
import { sibling } from "./checkout.ts";

/** To a thread: what to run. */
export interface CrewCall {
  readonly id: number;
  readonly builtin: string;
  readonly args: readonly unknown[];
}

/** From a thread: that it listens, or what came of a call. */
export interface CrewReply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: FlatError;
}

interface Pending {
  readonly worker: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/** Threads of one module. */
export class LoopCrew implements Crew {
  readonly threads: readonly Thread<void>[];
  readonly #pending: Map<number, Pending> = new Map();
  readonly #gone: Set<number> = new Set();
  #last = 0;

  private constructor(threads: readonly Thread<void>[]) {
    this.threads = threads;
    for (const [worker, thread] of threads.entries()) {
      thread.on("message", (message) => {
        const { id, value, error } = message as CrewReply;
        const pending = this.#pending.get(id);
        this.#pending.delete(id);
        if (error === undefined) pending?.resolve(value);
        else pending?.reject(unflatten(error));
      });
      thread.join().catch((error) => error).then((error) => {
        this.#gone.add(worker);
        for (const [id, pending] of this.#pending) {
          if (pending.worker !== worker) continue;
          this.#pending.delete(id);
          pending.reject(error ?? new Error(`worker ${worker} has ended`));
        }
      });
    }
  }

  /** Starts threads, and waits until they listen. */
  static async start(count: number, options: LaunchOptions = {}): Promise<LoopCrew> {
    const url = sibling(import.meta.url, "../workers/crew");
    const threads = Array.from(
      { length: count },
      (_, index) => launch<void>(url, { ...options, args: { index, count } }),
    );
    const ready = threads.map((thread) =>
      new Promise<void>((resolve, reject) => {
        const hear = (): void => {
          thread.off("message", hear);
          resolve();
        };
        thread.on("message", hear);
        thread.join().catch(reject);
      })
    );
    const crew = new LoopCrew(threads);
    await Promise.all(ready);
    return crew;
  }

  get placements(): readonly ThreadPlacement[] {
    return this.threads.map(({ placement }) => placement);
  }

  runOnAll(builtin: string, args: readonly unknown[]): readonly Promise<unknown>[] {
    return this.threads.map((thread, worker) => {
      if (this.#gone.has(worker)) return Promise.reject(new Error(`worker ${worker} has ended`));
      const id = ++this.#last;
      // It may throw: then nobody waits.
      thread.postMessage({ id, builtin, args } satisfies CrewCall);
      return new Promise<unknown>((resolve, reject) => {
        this.#pending.set(id, { worker, resolve, reject });
      });
    });
  }

  /** Ends all threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const thread of this.threads) thread.postMessage(null);
    await Promise.all(this.threads.map((thread) => thread.join().catch(() => {})));
  }
}
