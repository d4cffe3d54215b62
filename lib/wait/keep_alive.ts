/**
 * Objects that must not be collected, because they know what their words in shared memory do not tell: which of the
 * thread's asynchronous calls has its turn, and which wait. A second object of the same words would know nothing of them,
 * and would let a second call in.
 *
 * @module
 */

/** What is kept alive, by what keeps it. */
const kept = new Map<object, object>();

/**
 * Keeps an object alive, so that it is found again by its handle even when the program has dropped it.
 *
 * @param keeper Why: its calls that have not ended. It keeps one object at a time, and does not refer to it.
 * @param object The object.
 */
export function keepAlive(keeper: object, object: object): void {
  kept.set(keeper, object);
}

/**
 * Ends {@linkcode keepAlive}, if there was one.
 *
 * @param keeper The same keeper.
 */
export function letGo(keeper: object): void {
  kept.delete(keeper);
}
