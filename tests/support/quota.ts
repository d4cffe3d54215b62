/**
 * Limits this process to a share of a CPU by the kernel's quota, where the system allows that.
 */
import { readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Cgroup, makeCgroup } from "./cgroup.ts";

const PERIOD_US = 100_000;

/** A group below this process's own that has a quota, with this process in it. */
export class Quota implements Disposable {
  readonly #group: Cgroup;

  private constructor(group: Cgroup) {
    this.#group = group;
  }

  /**
   * Sets the quota.
   *
   * @param cpus CPUs, for example 0.5.
   * @returns The quota, until it is disposed; or why the system does not allow it.
   */
  static set(cpus: number): Quota | string {
    const quotaUs = Math.round(cpus * PERIOD_US);
    const group = makeCgroup(
      "cpu",
      `numakit-${process.pid}`,
      (version): Record<string, string> =>
        version === 2
          ? { "cpu.max": `${quotaUs} ${PERIOD_US}` }
          : { "cpu.cfs_period_us": `${PERIOD_US}`, "cpu.cfs_quota_us": `${quotaUs}` },
    );
    if (typeof group === "string") return group;
    try {
      writeFileSync(join(group.folder, "cgroup.procs"), `${process.pid}`);
    } catch (error) {
      rmdirSync(group.folder);
      return `no process can be put into a cgroup: ${(error as Error).message}`;
    }
    return new Quota(group);
  }

  /** How often the kernel has stopped this process because of it. */
  get throttled(): number {
    const stat = readFileSync(join(this.#group.folder, "cpu.stat"), "utf8");
    return Number(/^nr_throttled (\d+)$/m.exec(stat)?.[1] ?? 0);
  }

  [Symbol.dispose](): void {
    writeFileSync(join(this.#group.parent, "cgroup.procs"), `${process.pid}`);
    rmdirSync(this.#group.folder);
  }
}
