/**
 * Groups that the kernel limits, below the one of this process.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";

/** What the files of a hierarchy are called. */
export type CgroupVersion = 1 | 2;

/** The path of this process's group in a hierarchy: of a v1 controller, or (`""`) of v2. */
function groupOf(controller: string): string | undefined {
  const lines = readFileSync("/proc/self/cgroup", "utf8").trim().split("\n");
  const found = lines.map((line) => line.split(":"))
    .find(([, names]) => (names as string).split(",").includes(controller));
  return found?.slice(2).join(":");
}

/** A group below this process's own. */
export interface Cgroup {
  /** Its folder. */
  readonly folder: string;
  /** The folder of this process's group. */
  readonly parent: string;
}

/**
 * Makes a group.
 *
 * @param controller What limits it.
 * @param name Its name, which must be free.
 * @param limits The files that set its limits, in the order in which they are written.
 * @returns The group, with no process in it; or why the system does not allow it.
 */
export function makeCgroup(
  controller: "cpu" | "cpuset" | "memory",
  name: string,
  limits: (version: CgroupVersion) => Readonly<Record<string, string>>,
): Cgroup | string {
  const old = groupOf(controller);
  const parent = old === undefined ? join(ROOT, groupOf("") ?? "/") : join(ROOT, controller, old);
  const folder = join(parent, name);
  try {
    if (!existsSync(parent)) return `${parent} is not there`;
    mkdirSync(folder);
    try {
      if (old === undefined) {
        writeFileSync(join(parent, "cgroup.subtree_control"), `+${controller}`);
      }
      for (const [file, value] of Object.entries(limits(old === undefined ? 2 : 1))) {
        writeFileSync(join(folder, file), value);
      }
    } catch (error) {
      rmdirSync(folder);
      throw error;
    }
  } catch (error) {
    return `no cgroup with a limit can be made: ${(error as Error).message}`;
  }
  return { folder, parent };
}
