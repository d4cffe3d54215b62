/**
 * Limits this process to a share of a CPU by the kernel's quota, where the system allows that.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

const ROOT = "/sys/fs/cgroup";
const PERIOD_US = 100_000;

/** The path of this process's group in a hierarchy: of the `cpu` controller, or of the unified one. */
function groupOf(controller: string): string | undefined {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const found = lines.map((line) => line.split(":"))
    .find(([, names]) => (names as string).split(",").includes(controller));
  return found?.slice(2).join(":");
}

/** A group below this process's own that has a quota, with this process in it. */
export class Quota implements Disposable {
  readonly #group: string;
  readonly #before: string;

  private constructor(group: string, before: string) {
    this.#group = group;
    this.#before = before;
  }

  /**
   * Sets the quota.
   *
   * @param cpus CPUs, for example 0.5.
   * @returns The quota, until it is disposed; or why the system does not allow it.
   */
  static set(cpus: number): Quota | string {
    const quotaUs = Math.round(cpus * PERIOD_US);
    const old = groupOf("cpu");
    const before = old === undefined ? join(ROOT, groupOf("") ?? "/") : join(ROOT, "cpu", old);
    const group = join(before, `numakit-${process.pid}`);
    try {
      if (!existsSync(before)) return `${before} is not there`;
      mkdirSync(group);
      try {
        if (old === undefined) {
          writeFileSync(join(before, "cgroup.subtree_control"), "+cpu");
          writeFileSync(join(group, "cpu.max"), `${quotaUs} ${PERIOD_US}`);
        } else {
          writeFileSync(join(group, "cpu.cfs_period_us"), `${PERIOD_US}`);
          writeFileSync(join(group, "cpu.cfs_quota_us"), `${quotaUs}`);
        }
        writeFileSync(join(group, "cgroup.procs"), `${process.pid}`);
      } catch (error) {
        rmdirSync(group);
        throw error;
      }
    } catch (error) {
      return `no cgroup with a quota can be made: ${(error as Error).message}`;
    }
    return new Quota(group, before);
  }

  /** How often the kernel has stopped this process because of it. */
  get throttled(): number {
    const stat = readFileSync(join(this.#group, "cpu.stat"), "utf8");
    return Number(/^nr_throttled (\d+)$/m.exec(stat)?.[1] ?? 0);
  }

  [Symbol.dispose](): void {
    writeFileSync(join(this.#before, "cgroup.procs"), `${process.pid}`);
    rmdirSync(this.#group);
  }
}
