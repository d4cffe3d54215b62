import { NumaError } from "../base/error.ts";

/**
 * Whether a runtime's permission model is what refused, rather than the system.
 *
 * @param error What was thrown.
 * @returns True for Deno's NotCapable, also when Deno reports it as a module that cannot be loaded, and for Node's
 * ERR_ACCESS_DENIED.
 */
export function isPermissionError(error: unknown): boolean {
  const { name, code, message } = (error ?? {}) as Record<string, unknown>;
  return name === "NotCapable" || code === "ERR_ACCESS_DENIED" ||
    /\brun again with the --allow-/.test(String(message));
}

/** Deno's messages name the flag; Node's name the permission. */
function flagFor({ message, permission }: { message?: string; permission?: string }): string {
  const named = /--allow-[a-z-]+/.exec(message ?? "")?.[0];
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
