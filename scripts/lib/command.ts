/**
 * Runs commands of the checkout so that nothing of them is left: not when they end, not when they are stuck, and not when
 * this process ends.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { watchLife } from "./host_progress.ts";
import { processesWith, readProc } from "./proc.ts";

/** What a command said, and its exit status. */
export interface CommandResult {
  readonly status: number;
  readonly output: string;
  /** The processes that it left running, by their command lines. They have been killed. */
  readonly leftovers: readonly string[];
}

/** The variable that a command's processes are known by, as they may be in groups and sessions of their own. */
const MARK = "NUMAKIT_COMMAND";
/** How long processes may take to end after their command. Time only passes when there are some. */
const GRACE_MS = 60_000;
const LOOK_MS = 100;

const running = new Set<ChildProcess>();
let commands = 0;

function stop({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

process.on("exit", () => running.forEach(stop));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(128));
}

/** A process's command line; empty when it has ended. */
function commandLine(pid: number): string {
  return readProc(`${pid}/cmdline`).replaceAll("\0", " ").trim();
}

/** Kills those that don't end on their own. Returns their command lines. */
async function endAll(
  mark: string,
  graceMs: number,
  isClosed: () => boolean,
): Promise<string[]> {
  const end_ms = performance.now() + graceMs;
  for (;;) {
    const left = processesWith(MARK, mark);
    if (left.length === 0 && isClosed()) return [];
    if (performance.now() > end_ms) {
      const lines = left.map(commandLine).filter((line) => line !== "");
      for (const pid of left) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has ended meanwhile.
        }
      }
      return lines.length > 0 || isClosed() ? lines : ["a process that holds its output open"];
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/**
 * Runs a command and collects what it prints. It is stopped when nothing of it moves any more. It has ended when its
 * process has: what that leaves running is killed, and named.
 *
 * @param command The program and its arguments.
 * @param env Added to the environment.
 * @param graceMs How long what it leaves running may take to end. Default: a minute, for a busy machine.
 * @returns Its exit status (128 when a signal ended it) and its output, standard error included.
 */
export async function runCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
  graceMs: number = GRACE_MS,
): Promise<CommandResult> {
  const mark = `${process.pid}.${++commands}`;
  // It dies with this process, even when that is killed with SIGKILL. A group of its own, so that all of it can be stopped.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", ...command], {
    env: { ...process.env, NO_COLOR: "1", ...env, [MARK]: mark },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  running.add(child);
  const chunks: string[] = [];
  const endWatch = watchLife(child.pid ?? 0, (seconds) => {
    chunks.push(`\nstopped: none of its processes used a CPU for ${seconds} s\n`);
    stop(child);
  });
  let isClosed = false;
  child.on("close", () => isClosed = true);
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
  }
  try {
    const [status, signal] = await once(child, "exit") as [number | null, string | null];
    const leftovers = await endAll(mark, graceMs, () => isClosed);
    if (signal !== null) chunks.push(`\nended by ${signal}\n`);
    for (const left of leftovers) chunks.push(`\nleft running: ${left}\n`);
    return { status: status ?? 128, output: chunks.join(""), leftovers };
  } finally {
    endWatch();
    stop(child);
    running.delete(child);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
