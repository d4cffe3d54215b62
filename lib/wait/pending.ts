import { giveUpError } from "./block.ts";
import type { AsyncWaitOptions } from "./options.ts";
import { beginVigil, endVigil } from "./vigil.ts";

/**
 * One call that has to wait: its promise, and what limits it.
 *
 * @typeParam Result What it is to resolve to.
 */
export class Pending<Result> {
  /** What the caller gets. */
  readonly promise: Promise<Result>;
  readonly #action: string;
  readonly #timeoutMs: number | undefined;
  readonly #deadline: number = Infinity;
  readonly #signal: AbortSignal | undefined;
  readonly #expire: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #resolve!: (result: Result) => void;
  #reject!: (error: unknown) => void;

  /**
   * @param action What was asked, as it follows "Cannot".
   * @param options How long, checked.
   * @param expire Called when the time has passed, or the signal aborts: has to end in {@linkcode reject}, or to have ended
   * in {@linkcode resolve}.
   */
  constructor(action: string, options: AsyncWaitOptions | undefined, expire: () => void) {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#action = action;
    this.#expire = expire;
    const { timeoutMs, signal } = options ?? {};
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    beginVigil();
    if (timeoutMs !== undefined) {
      this.#deadline = performance.now() + timeoutMs;
      this.#timer = setTimeout(this.#onTime, timeoutMs);
    }
    signal?.addEventListener("abort", expire);
  }

  /** It has what it waited for. */
  resolve(result: Result): void {
    this.#disarm();
    this.#resolve(result);
  }

  /**
   * It has not, and gives up.
   *
   * @param error The reason. Default: the wait's own limits.
   */
  reject(error?: unknown): void {
    this.#disarm();
    this.#reject(error ?? this.#reason());
  }

  #reason(): unknown {
    if (this.#signal?.aborted === true) return this.#signal.reason;
    return giveUpError(this.#action, false, this.#timeoutMs ?? 0);
  }

  readonly #onTime = (): void => {
    // Timers may be a little early.
    const leftMs = this.#deadline - performance.now();
    if (leftMs > 0) this.#timer = setTimeout(this.#onTime, Math.ceil(leftMs));
    else this.#expire();
  };

  #disarm(): void {
    endVigil();
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener("abort", this.#expire);
  }
}
