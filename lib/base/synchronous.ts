import { NumaError } from "./error.ts";

/**
 * Refuses what an asynchronous function returned where the caller has to be done when it returns. What becomes of the
 * promise is nobody's business any more, so that it cannot end the process as an unhandled rejection.
 *
 * @typeParam Result What the caller's function returns.
 * @param result What it returned.
 * @param action What was asked, as it follows "Cannot".
 * @param fix What to do instead.
 * @returns The same.
 * @throws {NumaError} `EINVAL` when it is a promise.
 */
export function synchronous<Result>(result: Result, action: string, fix: string): Result {
  if (!(result instanceof Promise)) return result;
  result.catch(() => {});
  throw new NumaError("EINVAL", action, { why: "the function is asynchronous", fix });
}
