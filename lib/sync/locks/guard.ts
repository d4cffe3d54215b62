/** That a thread, or an asynchronous wait, holds a lock. */
export class Guard {
  readonly #release: () => boolean;
  readonly #ownerDied: () => boolean;

  /**
   * Not for callers: `acquire` gives one.
   *
   * @param release Gives the lock back if it is held.
   * @param ownerDied Whether the owner before died.
   */
  constructor(release: () => boolean, ownerDied: () => boolean) {
    this.#release = release;
    this.#ownerDied = ownerDied;
  }

  /**
   * Whether a thread died while it held the lock, and nobody has said yet that what it guards is right again
   * ({@linkcode Lock.markConsistent}). False for locks that are not robust.
   */
  get ownerDied(): boolean {
    return this.#ownerDied();
  }

  /** Gives the lock back; does nothing when that has happened. */
  release(): void {
    this.#release();
  }

  /** As {@linkcode Guard.release}, for `using`. */
  [Symbol.dispose](): void {
    this.#release();
  }
}
