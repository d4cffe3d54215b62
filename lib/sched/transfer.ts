import { show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";

/** What travels with values that a thread's function is about to return. */
const lists = /* @__PURE__ */ new WeakMap<object, readonly object[]>();

/**
 * Checks a list of what is to be moved rather than copied.
 *
 * @param list What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The list.
 * @throws {NumaError} `EINVAL` when it is no array.
 */
export function checkTransfer(list: unknown, action: string): readonly object[] {
  if (Array.isArray(list)) return list;
  throw new NumaError("EINVAL", action, {
    why: `transfer is ${show(list)}`,
    fix: "Give an array of the ArrayBuffers, MessagePorts or streams that are to be moved.",
  });
}

/**
 * Marks a thread's result, so that parts of it are moved to the launcher and not copied.
 *
 * @typeParam Result What the function returns.
 * @param result The object that the thread's function returns.
 * @param list ArrayBuffers, MessagePorts, streams: what `postMessage` can transfer on the runtime in use. The thread
 * has them no longer when it has returned.
 * @returns The same object.
 * @throws {NumaError} `EINVAL` when the result is no object, or the list no array.
 *
 * @example
 * ```ts
 * import { transfer, worker } from "@numakit/numakit";
 *
 * export default worker((bytes: number) => {
 *   const buffer = new ArrayBuffer(bytes);
 *   return transfer({ buffer }, [buffer]);
 * });
 * ```
 */
export function transfer<Result>(result: Result, list: readonly object[]): Result {
  const action = "transfer parts of a thread's result";
  if (typeof result !== "object" || result === null) {
    throw new NumaError("EINVAL", action, {
      why: `the result is ${show(result)}`,
      fix: "Give the object that the function returns: transfer({ buffer }, [buffer]).",
    });
  }
  lists.set(result, checkTransfer(list, action));
  return result;
}

/**
 * What {@linkcode transfer} was told of a result.
 *
 * @param result What a thread's function returned.
 * @returns What is to be moved with it.
 */
export function transferOf(result: unknown): readonly object[] {
  return lists.get(result as object) ?? [];
}
