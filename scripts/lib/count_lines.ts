/**
 * Counts the cache lines of a command's marked sections, in a guest of `scripts/numa_vm`.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Counted } from "./counts.ts";

/** A command that was counted. */
export interface CountedCommand {
  readonly counted: Counted;
  /** What the command wrote. */
  readonly stdout: string;
}

/**
 * Runs a command in a guest that counts.
 *
 * @param options numa_vm's.
 * @param command The command and its arguments, in the checkout's folder.
 * @param env More variables for numa_vm itself.
 * @returns What was counted, and the output. What goes to stderr is passed on.
 * @throws {Error} When the guest or the command fails.
 */
export function countLines(
  options: readonly string[],
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): CountedCommand {
  const folder = mkdtempSync(join(tmpdir(), "numakit-lines-"));
  try {
    const file = join(folder, "counts.json");
    const words = [...options, "--count-to", file, "--", ...command];
    const { status, stdout } = spawnSync("scripts/numa_vm", words, {
      cwd: fileURLToPath(new URL("../..", import.meta.url)),
      encoding: "utf8",
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (status !== 0) throw new Error(`numa_vm ${words.join(" ")}: status ${status}\n${stdout}`);
    return { counted: new Counted(file), stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
