/**
 * Whether a command still does anything. A busy machine makes everything slow, so nothing here is limited by the clock: a
 * command is stopped when none of its processes has used a CPU for a long time.
 *
 * @module
 */
import { readdirSync, readFileSync } from "node:fs";

/** How often it is looked. */
const LOOK_MS = 5000;
/** How long processes may be without a sign of life. The longest sleep of a test is a tenth of it. */
const STILL_MS = 300_000;
/** A clock tick of /proc, in milliseconds. */
const TICK_MS = 10;
/** CPU time that counts as a sign of life. What sleepers use that wake up for a moment is less. */
const MIN_MS = 100;

/** A process as /proc shows it. */
interface Process {
  readonly parent: number;
  /** CPU time of it and of its children that have ended. */
  readonly cpuMs: number;
}

function readProcess(id: string): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${id}/stat`, "utf8");
    // What is in parentheses may have spaces in it.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    const [, parent = 0] = fields;
    const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
    return { parent, cpuMs: ticks * TICK_MS };
  } catch {
    // It has ended.
    return undefined;
  }
}

/**
 * CPU time of a process and of all below it.
 *
 * @param root The process.
 * @returns Milliseconds so far.
 */
export function cpuMsOf(root: number): number {
  const all = new Map<number, Process>();
  for (const id of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    const found = readProcess(id);
    if (found !== undefined) all.set(Number(id), found);
  }
  const isBelow = (id: number): boolean => {
    for (let at = id, depth = 0; at > 1 && depth < 100; depth++) {
      if (at === root) return true;
      at = all.get(at)?.parent ?? 0;
    }
    return false;
  };
  return [...all].filter(([id]) => isBelow(id)).reduce((sum, [, { cpuMs }]) => sum + cpuMs, 0);
}

/**
 * Calls back when a process and all below it have been still for too long.
 *
 * @param root The process.
 * @param isStuck Called once, with the seconds.
 * @returns Ends the watch.
 */
export function watchLife(root: number, isStuck: (seconds: number) => void): () => void {
  let lastMs = 0;
  let since = performance.now();
  const timer = setInterval(() => {
    const nowMs = cpuMsOf(root);
    // A process that ended takes its time along until its parent has waited for it, so it may be less, too.
    if (Math.abs(nowMs - lastMs) >= MIN_MS) {
      lastMs = nowMs;
      since = performance.now();
    } else if (performance.now() - since > STILL_MS) {
      clearInterval(timer);
      isStuck(Math.round(STILL_MS / 1000));
    }
  }, LOOK_MS);
  return () => clearInterval(timer);
}
