/** Options of calls that may block the thread. */
export interface BlockOptions {
  /** The timeout in milliseconds: 0 to 2^31 - 1. Default: no limit. */
  readonly timeoutMs?: number;
  /**
   * Whether the thread may sleep. If not, a call that would have to sleep throws `EWOULDBLOCK`. Default: true in
   * workers, false on the main thread.
   */
  readonly block?: boolean;
}

/** Options of calls that wait without blocking the thread. */
export interface AsyncWaitOptions {
  /** The timeout in milliseconds: 0 to 2^31 - 1. Default: no limit. */
  readonly timeoutMs?: number;
  /** A signal that aborts the wait; the promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}
