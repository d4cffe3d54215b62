/** What /proc says of the CPU time of the host's processes. */
import { readdirSync, readFileSync } from "node:fs";

/** A clock tick of /proc, in milliseconds. */
const TICK_MS = 10;

/** The text of a file of /proc; empty when its process or thread is gone. */
export function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, "utf8");
  } catch {
    return "";
  }
}

/** A process as /proc shows it. */
export interface ProcessStat {
  readonly parent: number;
  /** Its CPU time. */
  readonly cpuMs: number;
  /** The CPU time of its children that have ended and that it has waited for. */
  readonly endedMs: number;
}

/** Looks at a process: undefined when it is gone. */
export function readStat(pid: number): ProcessStat | undefined {
  const text = readProc(`${pid}/stat`);
  if (text === "") return undefined;
  // What is in parentheses may have spaces in it.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  const msOf = (at: number): number => ((fields[at] ?? 0) + (fields[at + 1] ?? 0)) * TICK_MS;
  return { parent: fields[1] ?? 0, cpuMs: msOf(11), endedMs: msOf(13) };
}

/** The numbers of all processes. */
function processes(): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
}

/**
 * CPU time of a process and of all below it.
 *
 * @param root The process.
 * @returns Milliseconds so far, those of children that have ended included.
 */
export function cpuMsOf(root: number): number {
  const all = new Map<number, ProcessStat>();
  for (const id of processes()) {
    const found = readStat(id);
    if (found !== undefined) all.set(id, found);
  }
  const isBelow = (id: number): boolean => {
    for (let at = id, depth = 0; at > 1 && depth < 100; depth++) {
      if (at === root) return true;
      at = all.get(at)?.parent ?? 0;
    }
    return false;
  };
  return [...all].filter(([id]) => isBelow(id))
    .reduce((sum, [, { cpuMs, endedMs }]) => sum + cpuMs + endedMs, 0);
}

/**
 * The processes that were started with a variable in their environment.
 *
 * @param name The variable.
 * @param value Its value.
 * @returns Their numbers. Those that have ended are not among them, waited for or not.
 */
export function processesWith(name: string, value: string): number[] {
  const entry = `\0${name}=${value}\0`;
  return processes().filter((pid) => `\0${readProc(`${pid}/environ`)}`.includes(entry));
}
