/**
 * Whether something is to be awaited.
 *
 * @param value Anything.
 * @returns Whether it has a method `then`. It throws what a getter of that throws.
 */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
