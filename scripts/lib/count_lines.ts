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

/**
 * Now and then a worker of Bun sleeps for good in an emulated machine while its garbage is collected. All threads of the
 * guest are asleep then, and no word of numakit's says that any of them waits. Nothing has been measured, so it is started
 * again.
 */
const ATTEMPTS = 2;
/** `numa_vm`'s status at its time limit, and where a command does not get on. */
const STUCK = 124;

/** A command that was counted. */
export interface CountedCommand {
  readonly counted: Counted;
  /** What the command wrote. */
  readonly stdout: string;
}

/**
 * Runs a command in a guest that counts.
 *
 * @param options numa_vm's. With `--timeout`, a guest that does not get on is started once more.
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
    for (let attempt = 1; status === STUCK && attempt < ATTEMPTS; attempt++) {
      process.stderr.write("count_lines: the guest did not get on, and is started again\n");
      ({ status, stdout } = run());
    }
    if (status !== 0) throw new Error(`numa_vm ${words.join(" ")}: status ${status}\n${stdout}`);
    return { counted: new Counted(file), stdout };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
