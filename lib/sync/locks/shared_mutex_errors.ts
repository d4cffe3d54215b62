/**
 * What the C helper says of robust locks, in words.
 *
 * @module
 */
import { ERRNO, errnoError } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { heldError, poisonedError } from "./lock_errors.ts";
import { destroyedError } from "../../shared/tenancy.ts";

/** What is asked, as it follows "Cannot". */
export const ACQUIRE_ACTION = "acquire a shared mutex";

/** What `nk_robust_acquire` refused. */
export function acquireError(result: number): NumaError {
  switch (result) {
    case -ERRNO.EDEADLK:
      return heldError(ACQUIRE_ACTION);
    case -ERRNO.ENOTRECOVERABLE:
      return poisonedError(ACQUIRE_ACTION);
    case -ERRNO.ENOLCK:
      return new NumaError("EAGAIN", ACQUIRE_ACTION, {
        why: "this thread holds 31 of them",
        fix: "Release some first.",
      });
    case -ERRNO.ESTALE:
      return destroyedError(ACQUIRE_ACTION);
    default:
      return errnoError(result, "nk_robust_acquire", ACQUIRE_ACTION);
  }
}

/** What `nk_robust_release` refused. */
export function releaseError(result: number): NumaError {
  const action = "release a shared mutex";
  if (result === -ERRNO.ESTALE) return destroyedError(action);
  return new NumaError("EOWNER", action, {
    why: "it was overwritten while this thread held it",
    fix: "Look for code that writes outside of what it was given.",
  });
}
