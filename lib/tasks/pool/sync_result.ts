import type { Settle } from "../host/pool_places.ts";

/** What a thread that blocks gets of its task, in place of a promise. */
export class SyncResult {
  #value: unknown;
  #failure: { readonly error: unknown } | undefined;

  /** Called with what the task returned. */
  readonly resolve: Settle = (value: never): void => {
    this.#value = value;
  };

  /** Called with what it threw. */
  readonly reject: Settle = (error: never): void => {
    this.#failure = { error };
  };

  /**
   * Takes it; nothing is left.
   *
   * @returns What the task returned.
   * @throws What it threw.
   */
  take(): unknown {
    const value = this.#value;
    const failure = this.#failure;
    this.#value = this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
    return value;
  }
}
