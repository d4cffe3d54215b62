/** How a call that may block the thread waits. */
export interface BlockOptions {
  /** The longest time in milliseconds, 0 to 2^31 - 1. For ever unless given. */
  readonly timeoutMs?: number;
  /**
   * Whether the thread may sleep. True in workers and false on the main thread, unless given: there a call that would
   * have to sleep throws `EWOULDBLOCK`.
   */
  readonly block?: boolean;
}

/** How a call that does not block the thread waits. */
export interface WaitOptions {
  /** The longest time in milliseconds, 0 to 2^31 - 1. For ever unless given. */
  readonly timeoutMs?: number;
  /** Gives up, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}
