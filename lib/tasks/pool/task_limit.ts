import { giveUpError } from "../../wait/block.ts";
import type { Settle, TaskRequest } from "../host/pool_places.ts";

/** A task that waits for a place. */
export interface Waiting {
  readonly request: TaskRequest;
  readonly limit: TaskLimit | undefined;
}

/** What aborts a task: a signal, or its time. */
export class TaskLimit {
  readonly #abort: (name: number, reason: unknown) => void;
  readonly #reject: Settle;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: ReturnType<typeof setTimeout> | undefined;
  /** The task, once it has a place. */
  name = 0;
  /** Whether it was aborted before that, and rejected. */
  isOver = false;

  /**
   * @param abort Aborts a task that has a place.
   * @param reject Rejects one that has none.
   * @param limits The signal, which has not aborted yet, and the time.
   * @param action What was asked, as it follows "Cannot".
   */
  constructor(
    abort: (name: number, reason: unknown) => void,
    reject: Settle,
    { signal, timeoutMs }: {
      signal: AbortSignal | undefined;
      timeoutMs: number | undefined;
    },
    action: string,
  ) {
    this.#abort = abort;
    this.#reject = reject;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort);
    if (timeoutMs === undefined) return;
    this.#timer = setTimeout(() => this.#end(giveUpError(action, false, timeoutMs)), timeoutMs);
  }

  /** Aborts nothing any more. */
  readonly disarm = (): void => {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    clearTimeout(this.#timer);
  };

  readonly #onAbort = (): void => this.#end(this.#signal?.reason);

  #end(reason: unknown): void {
    this.disarm();
    if (this.name !== 0) return this.#abort(this.name, reason);
    this.isOver = true;
    this.#reject(reason as never);
  }
}
