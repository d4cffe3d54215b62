/**
 * Narrows this process's cpuset, where the system allows that.
 */
import { readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Cgroup, makeCgroup } from "./cgroup.ts";

function put(folder: string): void {
  writeFileSync(join(folder, "cgroup.procs"), `${process.pid}`);
}

/** A group below this process's own that has fewer CPUs, with this process in it. */
export class NarrowCpuset implements Disposable {
  readonly #group: Cgroup;

  private constructor(group: Cgroup) {
    this.#group = group;
  }

  /**
   * Narrows the cpuset.
   *
   * @param cpus The CPUs, in kernel notation.
   * @returns The cpuset, until it is disposed; or why the system does not allow it.
   */
  static set(cpus: string): NarrowCpuset | string {
    const mems = /Mems_allowed_list:\t(.*)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    const group = makeCgroup(
      "cpuset",
      `numakit-cpuset-${process.pid}`,
      (version): Record<string, string> =>
        version === 2 ? { "cpuset.cpus": cpus } : { "cpuset.cpus": cpus, "cpuset.mems": `${mems}` },
    );
    if (typeof group === "string") return group;
    try {
      put(group.folder);
    } catch (error) {
      rmdirSync(group.folder);
      return `no process can be put into a cpuset: ${(error as Error).message}`;
    }
    return new NarrowCpuset(group);
  }

  [Symbol.dispose](): void {
    put(this.#group.parent);
    rmdirSync(this.#group.folder);
  }
}
