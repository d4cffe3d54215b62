/**
 * What the command writes, and what becomes of it when nobody reads on or there is no room.
 *
 * Written at once and not through `process.stdout`, where each runtime reports a failure at another time and in another
 * way, and none to whoever wrote.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";

/** 128 and the number of SIGPIPE: what a shell sees of `yes | head -1`. */
const PIPE_STATUS = 141;
/** How long to wait for a reader whose pipe is full and does not block, in milliseconds. */
const RETRY_MS = 5;

/** A write that failed. */
class OutputError extends Error {
  override readonly name: string = "OutputError";
  readonly code: unknown;

  constructor(cause: unknown) {
    super(`Cannot write the output: ${cause instanceof Error ? cause.message : cause}`, { cause });
    this.code = Object(cause).code;
  }
}

function writeAll(descriptor: 1 | 2, text: string): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length;) {
    try {
      done += writeSync(descriptor, bytes, done);
    } catch (error) {
      if (Object(error).code !== "EAGAIN") throw new OutputError(error);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/**
 * Writes to standard output.
 *
 * @param text The text.
 * @throws When that fails; see {@linkcode outputStatus}.
 */
export function write(text: string): void {
  writeAll(1, text);
}

/**
 * Writes to standard error, if that can be written to.
 *
 * @param text The text.
 */
export function complain(text: string): void {
  try {
    writeAll(2, text);
  } catch {
    // There is nobody to tell.
  }
}

/**
 * The exit status for a write that failed: as of any tool that SIGPIPE ends when nobody reads on, in silence; otherwise 1,
 * with a line on standard error.
 *
 * @param error What was thrown.
 * @returns The status; undefined when it was not a write that failed.
 */
export function outputStatus(error: unknown): number | undefined {
  if (!(error instanceof OutputError)) return undefined;
  if (error.code === "EPIPE") return PIPE_STATUS;
  complain(`numakit: ${error.message}\n`);
  return 1;
}
