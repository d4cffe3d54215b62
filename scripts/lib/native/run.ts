import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import process from "node:process";

const TAIL_LINES = 25;

/** How a command is run. */
export interface RunOptions {
  readonly cwd?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** A file that keeps all of its output. */
  readonly log?: string;
  /** Exit statuses other than 0 that are no failure. */
  readonly accept?: readonly number[];
}

/** What a command printed, and its exit status. */
export interface RunResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * The environment of every command: nothing of the caller's that a compiler or a build system would listen to (CFLAGS,
 * CPATH, PKG_CONFIG_PATH, a language), or two people would build different bytes.
 */
function cleanEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C", TZ: "UTC", SOURCE_DATE_EPOCH: "0" };
  for (const name of ["PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** Runs a command to its end, at a low priority, and fails with the last lines of what it said. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): RunResult {
  const { status, signal, error, stdout, stderr } = spawnSync("nice", [
    "-n",
    "10",
    program,
    ...args,
  ], {
    cwd: options.cwd,
    env: { ...cleanEnvironment(), ...options.env },
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (error !== undefined) throw error;
  const output = `${stdout}${stderr}`;
  if (options.log !== undefined) writeFileSync(options.log, output);
  if (status === null || (status !== 0 && !options.accept?.includes(status))) {
    const tail = output.trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
    throw new Error(`${program} ${args.join(" ")}: ${signal ?? `exit status ${status}`}\n${tail}`);
  }
  return { status, stdout, stderr };
}
