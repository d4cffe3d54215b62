/**
 * Memory that other processes can have.
 *
 * @module
 */
import { ERRNO, errnoError } from "../base/errno.ts";
import { show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { identityOf, isArena } from "../memory/arena/identity.ts";
import { native } from "../runtime/native.ts";
import { MAPPING_FACTS } from "../runtime/symbols.ts";
import { destroyedError } from "./tenancy.ts";

/** Of the facts of a mapping: whether other processes can have it. */
const SHARED = 10;

/**
 * The identity of the mapping of an arena that other processes can have.
 *
 * @param arena What a caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @param otherwise What to use between the threads of one process.
 * @returns The identity.
 * @throws {NumaError} `EINVAL` no arena, or one without a name; `EDESTROYED`.
 */
export function sharedIdentity(arena: unknown, action: string, otherwise: string): number {
  if (!isArena(arena)) {
    throw new NumaError("EINVAL", action, {
      why: `its memory is ${show(arena)}`,
      fix: "Give an Arena with a name.",
    });
  }
  if (arena.destroyed) throw destroyedError(action);
  const identity = identityOf(arena);
  const facts = new BigUint64Array(MAPPING_FACTS);
  native().calls.nk_mapping_attach(identity, facts);
  if (Number(facts[SHARED]) === 1) return identity;
  throw new NumaError("EINVAL", action, {
    why: "its arena has no name, so no other process can have it",
    fix: `Give Arena.create a \`name\`; between the threads of a process ${otherwise}.`,
  });
}

/**
 * What `nk_robust_open` refused.
 *
 * @param result What it returned.
 * @param action What was asked, as it follows "Cannot".
 * @returns The error.
 */
export function openError(result: number, action: string): NumaError {
  const syscall = "nk_robust_open";
  switch (result) {
    case -ERRNO.EXDEV:
      return new NumaError("ENOTSUP", action, {
        why: "it belongs to another PID namespace, where thread ids mean something else",
        fix: "Run all of its processes in one (docker run --pid=…).",
        syscall,
      });
    case -ERRNO.ENOLCK:
      return new NumaError("EAGAIN", action, { why: "this thread has 32,768 of them", syscall });
    case -ERRNO.EPERM:
      return errnoError(result, syscall, action, { fix: "Let the sandbox allow set_robust_list." });
    default:
      return errnoError(result, syscall, action);
  }
}
