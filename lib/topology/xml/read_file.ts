import { NumaError } from "../../base/error.ts";
import { builtin } from "../../runtime/builtin.ts";
import { isPermissionError, permissionError } from "../../runtime/permission.ts";
import { MAX_FILE_BYTES } from "./limits.ts";

/**
 * Reads a file of text.
 *
 * @param path The file.
 * @param action What was asked, with the file's name, as it follows "Cannot".
 * @returns The text; what is not UTF-8 in it becomes U+FFFD.
 * @throws {NumaError} `ENODEV` there is no such file; `EPERM` this process may not read it; `EINVAL` it is not a file,
 * or larger than 64 MiB; `EAGAIN` the process has no file descriptor left.
 */
export function readTextFile(path: string, action: string): string {
  const { readFileSync, statSync } = builtin("node:fs");
  try {
    const status = statSync(path);
    // A pipe would block.
    if (!status.isFile()) {
      const why = status.isDirectory() ? "it is a folder" : "it is not a regular file";
      throw new NumaError("EINVAL", action, { why, fix: "Name the XML file itself." });
    }
    if (status.size > MAX_FILE_BYTES) {
      throw new NumaError("EINVAL", action, {
        why: `it has ${status.size} bytes`,
        fix: `numakit reads at most ${MAX_FILE_BYTES}.`,
      });
    }
    return new TextDecoder().decode(readFileSync(path));
  } catch (error) {
    throw error instanceof NumaError ? error : refusal(error, action);
  }
}

function refusal(cause: unknown, action: string): NumaError {
  if (isPermissionError(cause)) return permissionError(action, cause);
  const { code, message, syscall } = cause as NodeJS.ErrnoException;
  const details = { cause, ...(syscall === undefined ? {} : { syscall }) };
  if (code === "ENOENT" || code === "ENOTDIR") {
    const fix = "The path is relative to the folder that the process runs in.";
    return new NumaError("ENODEV", action, {
      why: `there is no such file (${code})`,
      fix,
      ...details,
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    const why = `this process's user may not read it (${code})`;
    const fix = "`ls -l` shows who may; every folder of the path has to permit it, too.";
    return new NumaError("EPERM", action, { why, fix, ...details });
  }
  if (code === "EMFILE" || code === "ENFILE") {
    return new NumaError("EAGAIN", action, { why: `no file can be opened (${code})`, ...details });
  }
  return new NumaError("EINVAL", action, { why: `the system answered: ${message}`, ...details });
}
