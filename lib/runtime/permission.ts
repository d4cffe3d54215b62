import { NumaError } from "./error.ts";

/**
 * Whether a runtime's permission model is what refused.
 *
 * @param error What was thrown.
 * @returns True for Deno's NotCapable and for Node's ERR_ACCESS_DENIED.
 */
export function isPermissionError(error: unknown): boolean {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  return name === "NotCapable" || name === "PermissionDenied" || code === "ERR_ACCESS_DENIED";
}

/** Deno's messages name the flag; Node's name the permission. */
function flagFor({ message, permission }: { message?: string; permission?: string }): string {
  const named = /--allow-[a-z]+(=\S+)?/.exec(message ?? "")?.[0];
  const flags: Record<string, string> = {
    FFI: "--allow-ffi",
    FileSystemRead: "--allow-fs-read",
    FileSystemWrite: "--allow-fs-write",
    WorkerThreads: "--allow-worker",
  };
  return named ?? flags[permission ?? ""] ?? "--allow-ffi";
}

/**
 * The error of something that the runtime's permissions do not allow.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param cause What the runtime threw.
 * @returns An `EPERM` that names the flag.
 */
export function permissionError(action: string, cause: unknown): NumaError {
  return new NumaError("EPERM", action, {
    why: "the runtime's permissions do not allow it",
    fix: `Start it with ${flagFor(cause as { message?: string; permission?: string })}.`,
    cause,
  });
}
