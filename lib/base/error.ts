/**
 * The kind of a failure. Where the kernel has a name for it, this is the kernel's name.
 *
 * `docs/errors.md` lists each code with its causes and cures.
 */
export type NumaErrorCode =
  /** The C helper, or another process, is of another version. */
  | "EABI"
  /** A CPU or node is outside what this process may use (cpuset, affinity). */
  | "EACCES"
  /** The system is out of threads, mappings or another countable resource. */
  | "EAGAIN"
  /** Bytes that are not what they should be: damaged, or of something else. */
  | "EBADMSG"
  /** In use by another thread. */
  | "EBUSY"
  /** No more goes into it, because it was closed. */
  | "ECLOSED"
  /** A thread would wait for itself. */
  | "EDEADLK"
  /** Used after `destroy()`. */
  | "EDESTROYED"
  /** An argument of the wrong type or out of range. */
  | "EINVAL"
  /** The C helper was not found or could not be loaded. */
  | "ELIBRARY"
  /** A worker's module could not be loaded. */
  | "EMODULE"
  /** No such NUMA node or CPU, or one that lacks what was asked of it. */
  | "ENODEV"
  /** Not enough memory, or not enough hugepages, where it was asked for. */
  | "ENOMEM"
  /** The kernel is too old or was built without it. */
  | "ENOSYS"
  /** Switched off on this system. */
  | "ENOTSUP"
  /** Released by a thread that does not hold it. */
  | "EOWNER"
  /** A thread died and left something in an unknown state. */
  | "EOWNERDEAD"
  /** Forbidden by the system or the runtime's permissions. */
  | "EPERM"
  /** Not Linux. */
  | "EPLATFORM"
  /** A handle to an object that no longer exists. */
  | "ESTALE"
  /** Memory or a thread is not where it was asked for. */
  | "ESTRICT"
  /** A thread was terminated. */
  | "ETERMINATED"
  /** A wait did not end in time. */
  | "ETIMEDOUT"
  /** The call would have to block a thread that must not block. */
  | "EWOULDBLOCK";

/** The facts behind a {@linkcode NumaError}. */
export interface NumaErrorDetails {
  /** What the system said, or in which state things are. */
  readonly why: string;
  /** What to do about it: a sentence. */
  readonly fix?: string;
  /** The system call or helper function that refused. */
  readonly syscall?: string;
  /** The NUMA node that was asked. */
  readonly node?: number;
  /** The error underneath. */
  readonly cause?: unknown;
}

/**
 * The error class of numakit.
 *
 * The message always has the same form: what was asked, why it failed, what to do.
 *
 * @example
 * ```ts
 * import { NumaError } from "@numakit/numakit";
 *
 * const error = new NumaError("ENODEV", "create an arena of 2 MiB on node 7", {
 *   why: "this machine has nodes 0-1",
 *   fix: "Choose one of them.",
 *   node: 7,
 * });
 * console.log(error.message);
 * // Cannot create an arena of 2 MiB on node 7: this machine has nodes 0-1. Choose one of them.
 * ```
 */
export class NumaError extends Error {
  /** The kind of failure, stable across versions. */
  readonly code: NumaErrorCode;
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
  /** What the system said. */
  readonly why: string;
  /** What to do about it. */
  readonly fix: string | undefined;
  /** The system call or helper function that refused. */
  readonly syscall: string | undefined;
  /** The NUMA node that was asked. */
  readonly node: number | undefined;

  /**
   * Builds the message from its parts.
   *
   * @param code The kind of failure.
   * @param action What was asked, as it follows "Cannot".
   * @param details Why not, and what to do.
   */
  constructor(code: NumaErrorCode, action: string, details: NumaErrorDetails) {
    const { why, fix, cause } = details;
    super(
      `Cannot ${action}: ${why}.${fix === undefined ? "" : ` ${fix}`}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = "NumaError";
    this.code = code;
    this.action = action;
    this.why = why;
    this.fix = fix;
    this.syscall = details.syscall;
    this.node = details.node;
  }
}

/** What a {@linkcode NumaError} says, as plain data: the third argument of another one that says the same. */
export type NumaErrorParts = Pick<
  NumaError,
  "code" | "action" | "why" | "fix" | "syscall" | "node"
>;

/**
 * Takes an error apart.
 *
 * @param error The error.
 * @returns What it says, without its cause and stack.
 */
export function partsOf(error: NumaError): NumaErrorParts {
  const { code, action, why, fix, syscall, node } = error;
  return { code, action, why, fix, syscall, node };
}
