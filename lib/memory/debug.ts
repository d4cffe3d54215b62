/**
 * Debug mode (`NUMAKIT_DEBUG=1`): every mapping knows where it was made, and what is left over when the process ends is
 * told.
 *
 * @module
 */
import { builtin } from "../runtime/builtin.ts";
import { formatBytes } from "../runtime/bytes.ts";
import { readEnv } from "../runtime/env.ts";

/** What a leak report says of a mapping. */
export interface Leftover {
  readonly label: string;
  readonly node: number;
  readonly dataBytes: number;
  readonly stack: string;
}

let enabled: boolean | undefined;

/** Whether this thread is in debug mode. */
export function inDebugMode(): boolean {
  enabled ??= readEnv("NUMAKIT_DEBUG") === "1";
  return enabled;
}

/**
 * The caller's stack, without numakit's own frames.
 *
 * @returns One line a frame.
 */
export function callerStack(): string {
  const { stack = "" } = new Error();
  const frames = stack.split("\n").map((line) => line.trim())
    .filter((line) => line !== "" && line !== "Error");
  const ours = /\/lib\/(memory|runtime)\/|\/shared-\d+\.js/;
  const first = frames.findIndex((line) => !ours.test(line));
  return frames.slice(Math.max(first, 0)).join("\n");
}

/**
 * Tells on standard error of something that nobody can let go of any more.
 *
 * @param what The news.
 * @param stack Where it was made.
 */
export function reportLeak(what: string, stack: string): void {
  const text = `numakit: ${what}; it was made\n    ${stack.replaceAll("\n", "\n    ")}\n`;
  builtin("node:process").stderr.write(text);
}

let watched = false;

/**
 * Tells on standard error what was never destroyed, when the process ends.
 *
 * @param leftovers Gives what is still held then.
 */
export function reportAtExit(leftovers: () => readonly Leftover[]): void {
  if (watched) return;
  watched = true;
  const process = builtin("node:process");
  process.on("exit", () => {
    for (const { label, node, dataBytes, stack } of leftovers()) {
      reportLeak(
        `${label} of ${formatBytes(dataBytes)} on node ${node} was never destroyed`,
        stack,
      );
    }
  });
}
