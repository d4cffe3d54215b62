import { readdirSync } from "node:fs";
import type { HostTime } from "./guest_progress.ts";
import { readProc, readStat } from "./proc.ts";

/** What a process has had of the host; nothing when it is gone. Only the threads that live tell how long they waited. */
export function hostTime(pid: number): HostTime {
  const stat = readStat(pid);
  if (stat === undefined) return { cpu_s: 0, waited_s: 0 };
  const waits_ns = readdirSync(`/proc/${pid}/task`).map((thread) =>
    Number(readProc(`${pid}/task/${thread}/schedstat`).split(" ")[1] ?? 0)
  );
  return {
    cpu_s: stat.cpuMs / 1000,
    waited_s: waits_ns.reduce((sum, wait) => sum + wait, 0) / 1e9,
  };
}
