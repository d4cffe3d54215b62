/** Represents the ownership of a lock by a thread or by one of its asynchronous calls. */
export class Guard {
  readonly #release: () => boolean;
  readonly #ownerDied: () => boolean;

  /**
   * For internal use: `acquire` returns one.
   *
   * @param release Releases the lock if it is held.
   * @param ownerDied Whether the previous owner died.
   */
  constructor(release: () => boolean, ownerDied: () => boolean) {
    this.#release = release;
    this.#ownerDied = ownerDied;
  }

  /**
   * Whether a thread died while it held the lock, and the data has not been declared consistent since
   * ({@linkcode Lock.markConsistent}). Always false for locks that are not robust.
   */
  get ownerDied(): boolean {
    return this.#ownerDied();
  }

  /** Releases the lock. Does nothing if it has been released. */
  release(): void {
    this.#release();
  }

  /** Calls {@linkcode Guard.release}, for `using`. */
  [Symbol.dispose](): void {
    this.#release();
  }
}
