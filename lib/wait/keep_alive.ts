/**
 * Objects that must not be collected, because they know what their words in shared memory do not tell: which of the
 * thread's asynchronous calls has its turn, and which wait. A second object of the same words would know nothing of them,
 * and would let a second call in.
 *
 * @module
 */

/**
 * Keeps one object alive while there is a reason to, so that it is found again by its handle even when the program has
 * dropped it. Keepers with an object are a list that the thread holds on to: a map costs each asynchronous call a quarter
 * of its time.
 */
export class Keeper {
  #object: object | undefined;
  #next: Keeper | undefined;
  #previous: Keeper | undefined;

  static readonly #first: Keeper = new Keeper();

  /**
   * Keeps an object alive, and no longer the one that it kept before.
   *
   * @param object The object.
   */
  keep(object: object): void {
    const isListed = this.#object !== undefined;
    this.#object = object;
    if (isListed) return;
    const first = Keeper.#first;
    const next = first.#next;
    this.#previous = first;
    this.#next = next;
    if (next !== undefined) next.#previous = this;
    first.#next = this;
  }

  /** Ends {@linkcode keep}, if there was one. */
  letGo(): void {
    if (this.#object === undefined) return;
    const previous = this.#previous as Keeper;
    const next = this.#next;
    previous.#next = next;
    if (next !== undefined) next.#previous = previous;
    this.#object = this.#previous = this.#next = undefined;
  }
}
