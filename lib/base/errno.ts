import { NumaError, type NumaErrorCode, type NumaErrorDetails } from "./error.ts";

/** The errno values the helper gives, as Linux numbers them on every architecture that numakit supports. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ENXIO: 6,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOSPC: 28,
  EDEADLK: 35,
  ENOLCK: 37,
  ENOSYS: 38,
  ENODATA: 61,
  EREMOTE: 66,
  EPROTO: 71,
  EBADMSG: 74,
  EUSERS: 87,
  ENOTSUP: 95,
  ESTALE: 116,
  EUCLEAN: 117,
  ENOTRECOVERABLE: 131,
} as const;

/** What each means of itself. */
const MEANING: Readonly<Record<number, { code: NumaErrorCode; why: string }>> = {
  [ERRNO.EPERM]: { code: "EPERM", why: "the system forbids it (EPERM)" },
  [ERRNO.ENOENT]: { code: "ENODEV", why: "there is no such thing (ENOENT)" },
  [ERRNO.ENXIO]: { code: "EACCES", why: "only a part of it is available to this process (ENXIO)" },
  [ERRNO.EAGAIN]: { code: "EAGAIN", why: "the system is out of threads or slots (EAGAIN)" },
  [ERRNO.ENOMEM]: { code: "ENOMEM", why: "there is not enough memory (ENOMEM)" },
  [ERRNO.EACCES]: { code: "EACCES", why: "it is outside this process's cpuset (EACCES)" },
  [ERRNO.EFAULT]: { code: "ENOMEM", why: "the kernel ran out of pages on the way (EFAULT)" },
  [ERRNO.EEXIST]: { code: "EBUSY", why: "the name is taken (EEXIST)" },
  [ERRNO.ENODEV]: { code: "ENODEV", why: "there is no such node with memory (ENODEV)" },
  [ERRNO.EBUSY]: { code: "EBUSY", why: "another thread is doing the same (EBUSY)" },
  [ERRNO.EINVAL]: { code: "EINVAL", why: "the kernel does not accept the request (EINVAL)" },
  [ERRNO.ENFILE]: { code: "EAGAIN", why: "the system has no file descriptor left (ENFILE)" },
  [ERRNO.EMFILE]: { code: "EAGAIN", why: "this process has no file descriptor left (EMFILE)" },
  [ERRNO.ENOLCK]: {
    code: "EPERM",
    why: "this process may not lock so much memory (RLIMIT_MEMLOCK)",
  },
  [ERRNO.ENOSYS]: { code: "ENOSYS", why: "this kernel cannot do it (ENOSYS)" },
  [ERRNO.ENODATA]: { code: "EINVAL", why: "there is no whole page in it (ENODATA)" },
  [ERRNO.EPROTO]: {
    code: "EABI",
    why: "it was created by another version of numakit, or is not numakit's (EPROTO)",
  },
  [ERRNO.EUSERS]: { code: "EAGAIN", why: "this process may not map more (EUSERS)" },
  [ERRNO.ENOTSUP]: { code: "ENOTSUP", why: "it is switched off on this system (ENOTSUP)" },
  [ERRNO.ESTALE]: { code: "ESTALE", why: "it is gone (ESTALE)" },
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
  const { code, why } = MEANING[-result] ??
    { code: "ENOSYS" as const, why: `the system answered errno ${-result}` };
  const refused = syscall === "nk_buffer_move" ? MOVE_FIX : SECCOMP_FIX;
  const fix = code === "EPERM" ? { fix: refused } : {};
  return new NumaError(code, action, { why, ...fix, syscall, ...details });
}
