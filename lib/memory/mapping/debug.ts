/**
 * Debug mode (`NUMAKIT_DEBUG=1`): every mapping knows where it was made; what is left over when the process ends is told, and
 * so is what is destroyed while operations of the runtime may still use it.
 *
 * @module
 */
import { builtin } from "../../runtime/builtin.ts";
import { formatBytes } from "../../base/bytes.ts";
import { readEnv } from "../../runtime/env.ts";

/** What reports call a mapping. */
export interface Named {
  readonly label: string;
  readonly node: number;
  readonly dataBytes: number;
}

/** What a leak report says of a mapping. */
export interface Leftover extends Named {
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
  write(`${what}; it was created`, stack);
}

function write(news: string, stack: string): void {
  const text = `numakit: ${news}\n    ${stack.replaceAll("\n", "\n    ")}\n`;
  builtin("node:process").stderr.write(text);
}

function tell({ label, node, dataBytes }: Named, what: string, stack: string): void {
  write(`${label} of ${formatBytes(dataBytes)} on node ${node} ${what}`, stack);
}

/**
 * What a runtime calls operations that work on a caller's bytes. Others it does not tell of (compression, hashing), and
 * of none whose bytes they are.
 */
const OPERATIONS = /^(FSReq|WriteWrap|ShutdownWrap|HTTP|StreamReq|UDPSendWrap)/;

function pendingOperations(): string[] {
  const { getActiveResourcesInfo } = builtin("node:process");
  const operations = getActiveResourcesInfo().filter((name) => OPERATIONS.test(name));
  return [...new Set(operations)];
}

/**
 * Tells on standard error that a mapping was destroyed while operations are pending that may use it: they read zeros
 * from then on, and what they write is lost.
 *
 * @param mapping The mapping.
 * @param isPinned Whether the runtime says that one does use it.
 */
export function reportPending(mapping: Named, isPinned: boolean): void {
  const pending = isPinned ? [] : pendingOperations();
  if (!isPinned && pending.length === 0) return;
  const what = isPinned
    ? "was destroyed while the runtime still uses it; it was destroyed"
    : `was destroyed while operations are pending that may use it (${pending.join(", ")}); ` +
      "it was destroyed";
  tell(mapping, what, callerStack());
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
  builtin("node:process").on("exit", () => {
    for (const leftover of leftovers()) {
      tell(leftover, "was never destroyed; it was created", leftover.stack);
    }
  });
}
