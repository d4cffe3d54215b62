/**
 * Where counts are from.
 */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";

/** What counted them, and where. */
export interface Origin {
  readonly date: string;
  /** The checkout's; with "changed" if there was more than what is committed. */
  readonly commit: string;
  readonly host: string;
  readonly qemu: string;
  readonly runtimes: string;
}

function first(command: string, ...words: string[]): string {
  const { stdout } = spawnSync(command, words, { encoding: "utf8" });
  return stdout?.trim().split("\n")[0] ?? "";
}

/** Asks the host, git, QEMU and the runtimes. */
export function origin(): Origin {
  const all = cpus();
  const changed = first("git", "status", "--porcelain") === "" ? "" : ", changed";
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: `${first("git", "rev-parse", "--short", "HEAD")}${changed}`,
    host: `${all[0]?.model.trim() ?? "unknown"}, ${all.length} CPUs`,
    qemu: first("qemu-system-x86_64", "--version").replace(/^QEMU emulator version /, ""),
    runtimes: `Bun ${first("bun", "--version")}, ${
      first("deno", "--version").replace(/^deno (\S+).*$/, "Deno $1")
    }, Node ${first("node", "--version").replace(/^v/, "")}`,
  };
}
