/** An asynchronous call's acquisition of a lock. */
export interface Acquisition {
  /** The lock. */
  readonly lock: object;
  /** Whether it has not been released yet. */
  readonly held: boolean;
}

let find: (guard: object) => Acquisition | undefined;

/**
 * Represents the ownership of a lock by a thread or by one of its asynchronous calls.
 *
 * @example
 * ```ts
 * import { Mutex } from "@numakit/numakit";
 *
 * const mutex = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
 * {
 *   using guard = await mutex.acquireAsync();
 *   console.log(guard.ownerDied, mutex.tryAcquire()); // false false
 * } // released here, whatever is thrown
 * console.log(mutex.tryAcquire()); // true
 * mutex.release();
 * ```
 */
export class Guard {
  readonly #isHeld: () => boolean;
  readonly #release: () => void;
  readonly #ownerDied: () => boolean;
  readonly #acquisition: Acquisition | undefined;

  /**
   * For internal use: `acquire` returns one.
   *
   * @param isHeld Whether its acquisition holds the lock.
   * @param release Releases the lock, which is held.
   * @param ownerDied Whether the previous owner died.
   * @param acquisition What it is the guard of, if `acquireAsync` of a {@linkcode Lock} returns it.
   */
  constructor(
    isHeld: () => boolean,
    release: () => void,
    ownerDied: () => boolean,
    acquisition?: { readonly lock: object; readonly held: boolean },
  ) {
    this.#isHeld = isHeld;
    this.#release = release;
    this.#ownerDied = ownerDied;
    this.#acquisition = acquisition;
  }

  /**
   * Whether a thread died while it held the lock, and the data has not been declared consistent since
   * ({@linkcode Lock.markConsistent}). Always false for locks that are not robust.
   */
  get ownerDied(): boolean {
    return this.#isHeld() && this.#ownerDied();
  }

  /** Releases the lock. Does nothing if it has been released. */
  release(): void {
    if (this.#isHeld()) this.#release();
  }

  /** The same as {@linkcode Guard.release}, for `using`. */
  [Symbol.dispose](): void {
    if (this.#isHeld()) this.#release();
  }

  static {
    find = (guard) => #acquisition in guard ? guard.#acquisition : undefined;
  }
}

/**
 * What a guard stands for.
 *
 * @param guard Anything.
 * @returns The asynchronous acquisition of a {@linkcode Lock}; undefined for a guard of another kind, and for what is no
 * guard.
 */
export function acquisitionOf(guard: unknown): Acquisition | undefined {
  return typeof guard === "object" && guard !== null ? find(guard) : undefined;
}
