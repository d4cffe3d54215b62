import { NumaError, type NumaErrorCode, type NumaErrorDetails } from "./error.ts";

/** The errno values the helper gives, as Linux numbers them on every architecture that numakit supports. */
const ERRNO: Readonly<Record<number, { code: NumaErrorCode; why: string }>> = {
  1: { code: "EPERM", why: "the system forbids it (EPERM)" },
  2: { code: "ENODEV", why: "there is no such thing (ENOENT)" },
  6: { code: "EACCES", why: "only a part of it is available to this process (ENXIO)" },
  11: { code: "EAGAIN", why: "the system is out of threads or slots (EAGAIN)" },
  12: { code: "ENOMEM", why: "there is not enough memory (ENOMEM)" },
  13: { code: "EACCES", why: "it is outside this process's cpuset (EACCES)" },
  14: { code: "ENOMEM", why: "the kernel ran out of pages on the way (EFAULT)" },
  17: { code: "EBUSY", why: "the name is taken (EEXIST)" },
  19: { code: "ENODEV", why: "there is no such node with memory (ENODEV)" },
  16: { code: "EBUSY", why: "another thread is doing the same (EBUSY)" },
  22: { code: "EINVAL", why: "the kernel does not accept the request (EINVAL)" },
  23: { code: "EAGAIN", why: "the system has no file descriptor left (ENFILE)" },
  24: { code: "EAGAIN", why: "this process has no file descriptor left (EMFILE)" },
  37: { code: "EPERM", why: "this process may not lock so much memory (RLIMIT_MEMLOCK)" },
  38: { code: "ENOSYS", why: "this kernel cannot do it (ENOSYS)" },
  61: { code: "EINVAL", why: "there is no whole page in it (ENODATA)" },
  71: {
    code: "EABI",
    why: "it was created by another version of numakit, or is not numakit's (EPROTO)",
  },
  87: { code: "EAGAIN", why: "this process may not map more (EUSERS)" },
  95: { code: "ENOTSUP", why: "it is switched off on this system (ENOTSUP)" },
  116: { code: "ESTALE", why: "it is gone (ESTALE)" },
};

/** How to get the memory policy calls back where a container's seccomp profile takes them. */
export const SECCOMP_FIX: string =
  "In a container, allow the memory policy calls: `docker run --cap-add SYS_NICE` " +
  "(Kubernetes: securityContext.capabilities.add: [SYS_NICE]).";

/** The same for the one call that the default profiles refuse even with that. */
const MOVE_FIX: string =
  "In a container, allow move_pages, which no capability does: `docker run --security-opt " +
  "seccomp=FILE` with a profile that permits it (Kubernetes: securityContext.seccompProfile).";

/**
 * Makes an error of a helper's `-errno`.
 *
 * @param result The negative result.
 * @param syscall The helper function.
 * @param action What was asked, as it follows "Cannot".
 * @param details What is known better than the errno tells.
 * @returns The error.
 */
export function errnoError(
  result: number,
  syscall: string,
  action: string,
  details: Partial<NumaErrorDetails> = {},
): NumaError {
  const { code, why } = ERRNO[-result] ??
    { code: "ENOSYS" as const, why: `the system answered errno ${-result}` };
  const refused = syscall === "nk_buffer_move" ? MOVE_FIX : SECCOMP_FIX;
  const fix = code === "EPERM" ? { fix: refused } : {};
  return new NumaError(code, action, { why, ...fix, syscall, ...details });
}
