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
import { EXIT } from "./guest_run.ts";

/** A command that was counted. */
export interface CountedCommand {
  readonly counted: Counted;
  /** What the command wrote. */
  readonly stdout: string;
}

/**
 * Runs a command in a guest that counts.
 *
 * @param options numa_vm's. A guest that is stopped because it does not get on is started once more.
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
    const run = () =>
      spawnSync("scripts/numa_vm", words, {
        cwd: fileURLToPath(new URL("../..", import.meta.url)),
        encoding: "utf8",
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "inherit"],
      });
    let { status, stdout } = run();
    // Now and then all threads of a Bun program sleep for good in an emulated machine, none of them in a wait of numakit's.
    if (status === EXIT.stopped) {
      process.stderr.write("count_lines: the guest did not get on, and is started again\n");
      ({ status, stdout } = run());
    }
    if (status !== 0) throw new Error(`numa_vm ${words.join(" ")}: status ${status}\n${stdout}`);
    return { counted: new Counted(file), stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
