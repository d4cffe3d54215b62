/**
 * Child processes under a memory limit of the kernel's, where the system allows that, and what it kills for memory.
 */
import { readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Cgroup, makeCgroup } from "./cgroup.ts";

let made = 0;

/** A group below this process's own that has a memory limit, for child processes. */
export class MemoryLimit implements Disposable {
  readonly #group: Cgroup;

  private constructor(group: Cgroup) {
    this.#group = group;
  }

  /**
   * Makes the group.
   *
   * @param bytes The limit.
   * @returns The group, until it is disposed; or why the system does not allow it.
   */
  static set(bytes: number): MemoryLimit | string {
    const group = makeCgroup(
      "memory",
      `numakit-${process.pid}-${++made}`,
      (version): Record<string, string> =>
        version === 2 ? { "memory.max": `${bytes}` } : { "memory.limit_in_bytes": `${bytes}` },
    );
    return typeof group === "string" ? group : new MemoryLimit(group);
  }

  /** What a command has to begin with to run in the group. */
  get prefix(): readonly string[] {
    const script = 'echo $$ > "$0" && exec "$@"';
    return ["/bin/sh", "-c", script, join(this.#group.folder, "cgroup.procs")];
  }

  /** How many processes of the group the OOM killer has ended. */
  get kills(): number {
    for (const file of ["memory.events", "memory.oom_control"]) {
      try {
        const text = readFileSync(join(this.#group.folder, file), "utf8");
        return Number(/^oom_kill (\d+)$/m.exec(text)?.[1]);
      } catch {
        // The other version's.
      }
    }
    return NaN;
  }

  [Symbol.dispose](): void {
    rmdirSync(this.#group.folder);
  }
}

/** How many processes the kernel has killed for memory since it started. */
export function oomKills(): number {
  return Number(/^oom_kill (\d+)$/m.exec(readFileSync("/proc/vmstat", "utf8"))?.[1]);
}
