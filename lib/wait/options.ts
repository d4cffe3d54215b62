/** How a call that may block the thread waits. */
export interface BlockOptions {
  /** The longest time in milliseconds, 0 to 2^31 - 1. Default: no limit. */
  readonly timeoutMs?: number;
  /**
   * Whether the thread may sleep; where it may not, a call that would have to throws `EWOULDBLOCK`. Default: true in
   * workers and false on the main thread.
   */
  readonly block?: boolean;
}

/** How a call that does not block the thread waits. */
export interface WaitOptions {
  /** The longest time in milliseconds, 0 to 2^31 - 1. Default: no limit. */
  readonly timeoutMs?: number;
  /** Gives up, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}
