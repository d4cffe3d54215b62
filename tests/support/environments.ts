/**
 * Machines and containers whose files are not what one expects: what hides or changes them, and what works there. The table
 * in docs/environments.md says the same.
 */

/** An environment. */
export interface Environment {
  /** What it is. */
  readonly name: string;
  /** A shell's commands that make it, in a mount namespace of its own; `$SCRATCH` is a folder for made-up files. */
  readonly setup: string;
  /** What of the machine is seen there: the parts of `topology().summary()` that matter. */
  readonly sees: RegExp;
  /** What works: all of it, unless it is refused here. */
  readonly refused?: Readonly<Record<string, RegExp>>;
}

/** A file over another one. */
const put = (text: string, path: string): string =>
  `printf '${text}' > $SCRATCH/file; mount --bind $SCRATCH/file ${path};`;

const NODES = "/sys/devices/system/node";
const CPUS = "/sys/devices/system/cpu";
const hide = (path: string): string => `mount -t tmpfs none ${path};`;

/** All of them. LAST is the last CPU that the tests may use. */
export const environments: readonly Environment[] = [
  { name: "nothing hidden", setup: "", sees: /node 0: CPUs/ },
  { name: "an empty folder of nodes", setup: hide(NODES), sees: /node 0: CPUs \S+ .*GiB memory/ },
  {
    name: "a folder of nodes with an empty list",
    setup: `${hide(NODES)} : > ${NODES}/online;`,
    sees: /node 0: CPUs \S+ .*GiB memory/,
  },
  {
    name: "a folder of nodes with a list and no nodes",
    setup: `${hide(NODES)} echo 0-3 > ${NODES}/online;`,
    sees: /node 0: CPUs \S+ .*GiB memory/,
  },
  {
    name: "a list of nodes that is none",
    setup: put("0-\\n", `${NODES}/online`),
    sees: /node 0: CPUs \S+ .*GiB memory/,
  },
  { name: "an empty folder of CPUs", setup: hide(CPUS), sees: /node 0: CPUs \S+ .*GiB memory/ },
  { name: "an empty /sys", setup: hide("/sys"), sees: /node 0: CPUs \S+ .*GiB memory/ },
  {
    name: "lxcfs: a list of CPUs without those of the affinity",
    setup: `${put("0\\n", `${CPUS}/online`)} taskset -pc $LAST $$ > $SCRATCH/out;`,
    sees: /allowed: (all CPUs|CPUs \d+),/,
  },
  {
    name: "an affinity of one CPU",
    setup: "taskset -pc $LAST $$ > $SCRATCH/out;",
    sees: /effective CPUs: 1$/m,
  },
  {
    name: "no nodes to be seen, and no memory",
    setup: `${hide(NODES)} mount --bind /dev/null /proc/meminfo;`,
    sees: /ENODEV: Cannot see this machine: \/sys\/devices\/system\/node is masked.*meminfo/,
    refused: {
      arena: /ENODEV|EIO|there is no such node/,
      launch: /ENODEV: Cannot see this machine: \/sys\/devices\/system\/node is masked/,
      pool: /ENODEV: Cannot see this machine: \/sys\/devices\/system\/node is masked/,
    },
  },
  {
    name: "a user who is not root",
    setup: 'set -- setpriv --reuid 65534 --clear-groups "$@";',
    sees: /node 0: CPUs/,
  },
  { name: "64 open files", setup: "ulimit -n 64;", sees: /node 0: CPUs/ },
];
