/** Options of calls that may block the thread. */
export interface BlockOptions {
  /**
   * The timeout in milliseconds: 0 to 2^31 - 1. Default: no limit. It counts from when the thread has stopped spinning:
   * after some microseconds by default, and after what `setWaitStrategy` asks for otherwise.
   */
  readonly timeoutMs?: number;
  /**
   * Whether the thread may sleep. If not, a call that would have to sleep throws `EWOULDBLOCK`. Default: true in
   * workers, false on the main thread.
   */
  readonly block?: boolean;
}

/**
 * Options of calls that wait without blocking the thread. A wait that is pending keeps the process alive, as a timer does.
 * To let the process end, give it a timeout or a signal.
 */
export interface AsyncWaitOptions {
  /** The timeout in milliseconds: 0 to 2^31 - 1. Default: no limit. */
  readonly timeoutMs?: number;
  /** A signal that aborts the wait; the promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}
