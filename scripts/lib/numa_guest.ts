/**
 * What a guest looks like: from the words on the command line to a checked shape, and from that to QEMU's arguments.
 *
 * Every node that has CPUs is a socket of its own, as in a real server: a package that spans nodes makes the kernel
 * complain and hwloc draw nonsense. A socket has one L3 or several (QEMU calls what shares an L3 a die).
 *
 * Everything here is pure: no file is read and no process started.
 */

/** The processors that a guest can have. */
export const ARCHITECTURES = ["x64", "arm64"] as const;

/** A guest's processor. */
export type Architecture = typeof ARCHITECTURES[number];

/** The shape asked for is not one that a guest can have. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** The shape in the user's words: the values of the options of the same names. */
export interface ShapeWords {
  readonly arch: string;
  readonly nodes: string;
  readonly cpus: string;
  readonly memory: string;
  readonly distances: string;
  readonly hugepages?: string | undefined;
  readonly l3: string;
  readonly threads: string;
  readonly hmat?: boolean | undefined;
  readonly nics?: string | undefined;
}

/** One node. Page counts are of the node's own pools. */
export interface GuestNode {
  readonly cpus: number;
  readonly memory_mib: number;
  pages_2m: number;
  pages_1g: number;
}

/** A shape that was checked. */
export interface GuestShape {
  readonly arch: Architecture;
  readonly nodes: readonly GuestNode[];
  /** `distances[from][to]` as in the ACPI SLIT: 10 is local. */
  readonly distances: readonly (readonly number[])[];
  readonly l3PerNode: number;
  readonly threadsPerCore: number;
  readonly hmat: boolean;
  /** The nodes that have a network card. */
  readonly nics: readonly number[];
}

/** QEMU's own limits are wider; emulated, more than this takes minutes to boot. */
const MAX_NODES = 64;
const MAX_CPUS = 64;
/** Enough to start each of the runtimes, which was seen to work with 192, and a little for the files they write. */
const MIN_TOTAL_MIB = 256;
/** Linux leaves out nodes that are smaller than 4 MiB; below this, what it keeps per node eats the node. */
const MIN_NODE_MIB = 32;
/** Each has a PCI bus of its own. */
const MAX_NICS = 16;

/**
 * What differs from processor to processor.
 *
 * x64: all that can be emulated, without five-level page tables, which would make each page walk longer. An Intel
 * server, because it shows its threads and dies to the guest; the emulated AMD has no TOPOEXT to do so. The clock is
 * read without leaving the guest's code, and no CPU's delay loop is calibrated (0.2 s each; the figure is right for
 * 2.5 GHz and near enough for others).
 *
 * arm64: the server core that is in most clouds. It has the atomic instructions of ARMv8.1, and not the pointer
 * authentication of later ones, which takes most of the time when it is emulated.
 */
const PROCESSORS = {
  x64: {
    cpu: "max,la57=off,vendor=GenuineIntel,family=6,model=85,stepping=7",
    console: "ttyS0",
    kernelArgs: "tsc=reliable no_timer_check lpj=10000000",
  },
  arm64: { cpu: "neoverse-n1", console: "ttyAMA0", kernelArgs: "" },
} as const satisfies Record<Architecture, unknown>;

function integer(word: string, what: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(word) ? Number(word) : NaN;
  if (value >= least && value <= most) return value;
  throw new ShapeError(
    `${what} is "${word}": it has to be ${
      least === most ? least : `a whole number from ${least} to ${most}`
    }`,
  );
}

function mebibytes(word: string, what: string): number {
  const match = /^(\d{1,7})(M|G|MiB|GiB)$/i.exec(word);
  if (match === null) throw new ShapeError(`${what} is "${word}": write it as 768M or 2G`);
  return Number(match[1]) * (match[2]?.toUpperCase().startsWith("G") ? 1024 : 1);
}

/** One word for all nodes, or one for each. */
function perNode(list: string, count: number, option: string): string[] {
  const words = list.split(",").map((word) => word.trim());
  if (words.length === 1) return new Array<string>(count).fill(words[0] as string);
  if (words.length === count) return words;
  throw new ShapeError(
    `${option} "${list}" has ${words.length} values for ${count} nodes: give one for all, or one each`,
  );
}

function parseNics(words: string | undefined, count: number): number[] {
  if (words === undefined) return [];
  const nodes = words.split(",").map((word) => integer(word.trim(), "--nics", 0, count - 1));
  if (nodes.length <= MAX_NICS && new Set(nodes).size === nodes.length) return nodes;
  throw new ShapeError(`--nics is "${words}": give up to ${MAX_NICS} nodes, each once`);
}

function parseDistances(words: string, count: number): number[][] {
  const rows = words.split(";").map((row) => row.split(","));
  const single = rows.length === 1 && rows[0]?.length === 1;
  if (!single && (rows.length !== count || rows.some((row) => row.length !== count))) {
    throw new ShapeError(
      `--distances "${words}" is not ${count} rows of ${count} values for ${count} nodes: ` +
        `write rows as "10,21;21,10", or one number for all remote nodes`,
    );
  }
  const nodes = [...new Array(count).keys()];
  return nodes.map((from) =>
    nodes.map((to) => {
      if (single && from === to) return 10;
      const word = (single ? words : rows[from]?.[to] as string).trim();
      const what = `--distances from node ${from} to node ${to}`;
      // Linux drops the whole table for one remote distance of 10 or less; 255 means "can't be reached".
      return from === to ? integer(word, what, 10, 10) : integer(word, what, 11, 254);
    })
  );
}

function parseArchitecture(word: string): Architecture {
  const arch = ARCHITECTURES.find((name) => name === word);
  if (arch !== undefined) return arch;
  throw new ShapeError(`--arch is "${word}": there are ${ARCHITECTURES.join(" and ")}`);
}

/** "0:2m=64,1:1g=1" into the nodes' page counts. */
function setPools(nodes: readonly GuestNode[], words: string): void {
  for (const word of words.split(",")) {
    const match = /^(\d+):(2m|1g)=(\d{1,6})$/i.exec(word.trim());
    if (match === null) {
      throw new ShapeError(
        `--hugepages "${word}": write NODE:SIZE=COUNT, such as 0:2m=64 or 1:1g=1`,
      );
    }
    const node = nodes[Number(match[1])];
    if (node === undefined) {
      throw new ShapeError(
        `--hugepages "${word}": there is no node ${match[1]} of ${nodes.length}`,
      );
    }
    node[match[2]?.toLowerCase() === "1g" ? "pages_1g" : "pages_2m"] = Number(match[3]);
  }
  for (const [id, node] of nodes.entries()) {
    const wanted = node.pages_2m * 2 + node.pages_1g * 1024;
    if (wanted >= node.memory_mib) {
      throw new ShapeError(
        `--hugepages wants ${wanted} MiB on node ${id}, which has ${node.memory_mib} MiB in all: raise --memory`,
      );
    }
  }
}

function isPowerOfTwo(count: number): boolean {
  return (count & (count - 1)) === 0;
}

function checkCpus(shape: GuestShape): void {
  const { nodes, threadsPerCore, l3PerNode } = shape;
  const total = nodes.reduce((sum, node) => sum + node.cpus, 0);
  if (total === 0) {
    throw new ShapeError("--cpus gives no node a CPU: at least one has to have some");
  }
  if (total > MAX_CPUS) {
    throw new ShapeError(
      `${total} CPUs are more than the ${MAX_CPUS} that can be emulated in reasonable time`,
    );
  }
  if (nodes.some(({ cpus }, id) => cpus > 0 && nodes[id - 1]?.cpus === 0)) {
    throw new ShapeError(
      "--cpus has a node without CPUs before one with some: Linux numbers the nodes with CPUs first, " +
        "so put the others last",
    );
  }
  const step = threadsPerCore * l3PerNode;
  for (const [id, { cpus }] of nodes.entries()) {
    if (cpus % step === 0) continue;
    throw new ShapeError(
      `node ${id} has ${cpus} CPUs, which is not a multiple of ${step} ` +
        `(--threads ${threadsPerCore} x --l3 ${l3PerNode})`,
    );
  }
  if (!isPowerOfTwo(l3PerNode) && nodes.every(({ cpus }) => cpus <= l3PerNode)) {
    throw new ShapeError(
      `--l3 ${l3PerNode} with one CPU for each would make every CPU a package: give nodes more --cpus`,
    );
  }
}

/** The emulated arm64 machine describes itself by a device tree, without caches; QEMU plugs no CPUs into it. */
function checkArm64({ nodes, l3PerNode, hmat, nics }: GuestShape): void {
  const refuse = (what: string): never => {
    throw new ShapeError(`${what} with --arch arm64: QEMU's machine for it has no such thing`);
  };
  if (hmat) refuse("--hmat");
  if (nics.length > 0) refuse("--nics");
  if (l3PerNode > 1) refuse(`--l3 ${l3PerNode}`);
  const sizes = new Set(nodes.map(({ cpus }) => cpus).filter((cpus) => cpus > 0));
  if (sizes.size > 1) refuse("--cpus with nodes of different sizes");
}

/**
 * Reads and checks a shape.
 *
 * @param words The options as the user wrote them.
 * @returns The shape.
 * @throws {ShapeError} When it can't be had, with the value and the reason.
 */
export function parseShape(words: ShapeWords): GuestShape {
  const count = integer(words.nodes, "--nodes", 1, MAX_NODES);
  const cpus = perNode(words.cpus, count, "--cpus");
  const memory = perNode(words.memory, count, "--memory");
  const nodes = cpus.map((word, id): GuestNode => ({
    cpus: integer(word, `--cpus of node ${id}`, 0, MAX_CPUS),
    memory_mib: mebibytes(memory[id] as string, `--memory of node ${id}`),
    pages_2m: 0,
    pages_1g: 0,
  }));
  for (const [id, { memory_mib }] of nodes.entries()) {
    if (memory_mib < MIN_NODE_MIB) {
      throw new ShapeError(
        `--memory of node ${id} is ${memory_mib} MiB: a node needs ${MIN_NODE_MIB} MiB ` +
          `(QEMU can't make nodes without memory)`,
      );
    }
  }
  const total = nodes.reduce((sum, node) => sum + node.memory_mib, 0);
  if (total < MIN_TOTAL_MIB) {
    throw new ShapeError(`--memory is ${total} MiB in all: a guest needs ${MIN_TOTAL_MIB} MiB`);
  }
  if (words.hugepages !== undefined) setPools(nodes, words.hugepages);
  const shape: GuestShape = {
    arch: parseArchitecture(words.arch),
    nodes,
    distances: parseDistances(words.distances, count),
    l3PerNode: integer(words.l3, "--l3", 1, MAX_CPUS),
    threadsPerCore: integer(words.threads, "--threads", 1, 2),
    hmat: words.hmat ?? false,
    nics: parseNics(words.nics, nodes.length),
  };
  checkCpus(shape);
  if (shape.arch === "arm64") checkArm64(shape);
  return shape;
}

/** The sizes of the nodes' sockets, how many cores share an L3 in the largest, and the places for CPUs in all. */
function sockets({ nodes, threadsPerCore, l3PerNode }: GuestShape): {
  readonly coresPerDie: readonly number[];
  readonly mostCores: number;
  readonly places: number;
} {
  const coresPerDie = nodes
    .filter(({ cpus }) => cpus > 0)
    .map(({ cpus }) => cpus / threadsPerCore / l3PerNode);
  const mostCores = Math.max(...coresPerDie);
  const places = coresPerDie.length * l3PerNode * mostCores * threadsPerCore;
  return { coresPerDie, mostCores, places };
}

/** Where a CPU is, and whether QEMU can only plug it in. */
export interface CpuPlace {
  readonly socket: number;
  readonly die: number;
  readonly core: number;
  readonly thread: number;
  readonly afterGap: boolean;
}

/**
 * The CPUs in the order of their numbers.
 *
 * @param shape The machine.
 * @returns Where each is. A node with CPUs has the number of its socket.
 */
export function cpuPlaces(shape: GuestShape): CpuPlace[] {
  const { threadsPerCore, l3PerNode } = shape;
  const { coresPerDie, mostCores } = sockets(shape);
  const places: CpuPlace[] = [];
  let afterGap = false;
  for (const [socket, present] of coresPerDie.entries()) {
    for (let die = 0; die < l3PerNode; die++) {
      for (let core = 0; core < present; core++) {
        for (let thread = 0; thread < threadsPerCore; thread++) {
          places.push({ socket, die, core, thread, afterGap });
        }
      }
      afterGap ||= present < mostCores;
    }
  }
  return places;
}

/**
 * CPUs. `-smp` can only fill sockets of one size, in order. So it lays out sockets of the largest size and starts the
 * CPUs up to the first gap; those after it are plugged in one by one, before the machine starts.
 */
function cpuArguments(shape: GuestShape): string[] {
  const { threadsPerCore, l3PerNode } = shape;
  const { coresPerDie, mostCores, places } = sockets(shape);
  const cpus = cpuPlaces(shape);
  const started = cpus.findIndex(({ afterGap }) => afterGap);
  const plugged = cpus.filter(({ afterGap }) => afterGap).flatMap((place) => {
    const { socket, die, core, thread } = place;
    const at = `socket-id=${socket},die-id=${die},core-id=${core},thread-id=${thread}`;
    return ["-device", `max-x86_64-cpu,${at}`];
  });
  // The arm64 machine knows no dies.
  const dies = shape.arch === "x64" ? `dies=${l3PerNode},` : "";
  const layout = `sockets=${coresPerDie.length},${dies}cores=${mostCores}`;
  return [
    "-smp",
    `cpus=${
      started < 0 ? cpus.length : started
    },maxcpus=${places},${layout},threads=${threadsPerCore}`,
    // Nodes with CPUs come first, so a socket's number is its node's.
    ...coresPerDie.flatMap((_, id) => ["-numa", `cpu,node-id=${id},socket-id=${id}`]),
    ...plugged,
  ];
}

/**
 * With up to eight possible CPUs Linux addresses groups of them by a bit each, and QEMU 7.2 looks for the receivers
 * only up to the first unused APIC number: the guest hangs on the first interrupt that is lost. Numbers are unused
 * where a count is no power of two, or a socket smaller than the largest. One more possible CPU avoids it.
 */
function losesInterrupts(shape: GuestShape): boolean {
  const { coresPerDie, mostCores, places } = sockets(shape);
  const whole = isPowerOfTwo(mostCores) && isPowerOfTwo(shape.l3PerNode) &&
    coresPerDie.every((cores) => cores === mostCores);
  return !whole && places <= 8;
}

/** Latencies and bandwidths that go with the distances: 90 ns and 20 GiB/s at distance 10. */
function hmatArguments({ nodes, distances }: GuestShape): string[] {
  return nodes.flatMap(({ cpus }, initiator) =>
    cpus === 0 ? [] : nodes.flatMap((_, target) => {
      const distance = distances[initiator]?.[target] as number;
      const entry =
        `hmat-lb,initiator=${initiator},target=${target},hierarchy=memory,data-type=access`;
      return [
        "-numa",
        `${entry}-latency,latency=${9 * distance}`,
        "-numa",
        `${entry}-bandwidth,bandwidth=${Math.round((20 * 1024 * 10) / distance)}M`,
      ];
    })
  );
}

/** The nearest node with CPUs; the node itself where it has some. */
function initiatorOf({ nodes, distances }: GuestShape, id: number): number {
  const row = distances.map((from) => from[id] as number);
  const candidates = [...nodes.keys()].filter((from) => (nodes[from] as GuestNode).cpus > 0);
  return candidates.sort((a, b) => (row[a] as number) - (row[b] as number))[0] as number;
}

function nodeArguments(shape: GuestShape): string[] {
  const { nodes, distances, hmat } = shape;
  return [
    ...nodes.flatMap(({ memory_mib }, id) => [
      "-object",
      `memory-backend-ram,id=m${id},size=${memory_mib}M`,
      "-numa",
      `node,nodeid=${id},memdev=m${id}${hmat ? `,initiator=${initiatorOf(shape, id)}` : ""}`,
    ]),
    ...distances.flatMap((row, src) =>
      row.flatMap((val, dst) =>
        src === dst ? [] : ["-numa", `dist,src=${src},dst=${dst},val=${val}`]
      )
    ),
  ];
}

/** Where QEMU finds what is not part of the shape. */
export interface GuestParts {
  readonly kernel: string;
  readonly initramfs: string;
  readonly kernelArgs?: string | undefined;
  readonly verbose?: boolean | undefined;
  /** The folders of the host that the guest sees by their tags, read-only but for `out`. */
  readonly shares: Readonly<Record<string, string>>;
  /** Arguments for what counts cache lines, if anything does. */
  readonly counter?: readonly string[] | undefined;
  /** Connected sockets by name, as file descriptors: the kernel's `console`, and the guest's ports in order. */
  readonly console_fd: number;
  readonly ports: readonly { readonly name: string; readonly fd: number }[];
}

/**
 * The kernel's command line. Emulation makes the rest worth their letters: no mitigations and no self-tests, no
 * watchdogs (the host may be busy), and a panic ends the guest.
 */
function kernelArguments(shape: GuestShape, parts: GuestParts): string {
  // Gigantic pages are taken while the memory is still whole; the 2 MiB pools are filled after boot.
  const gigantic = shape.nodes.flatMap(({ pages_1g }, id) => pages_1g ? [`${id}:${pages_1g}`] : []);
  const processor = PROCESSORS[shape.arch];
  const words = [
    `console=${processor.console} panic=-1 oops=panic mitigations=off cryptomgr.notests audit=0 nowatchdog`,
    "rcupdate.rcu_expedited=1 rcupdate.rcu_cpu_stall_suppress=1",
    processor.kernelArgs,
    shape.arch === "x64" && losesInterrupts(shape) ? "possible_cpus=9" : "",
    parts.verbose ? "" : "quiet",
    // Ranges are of physical lines: the kernel must not move a page behind the program's back.
    parts.counter === undefined ? "" : "numa_balancing=disable",
    gigantic.length > 0 ? `hugepagesz=1G hugepages=${gigantic.join(",")}` : "",
    parts.kernelArgs ?? "",
  ];
  return words.filter((word) => word !== "").join(" ");
}

/** In QEMU's option lists a comma is doubled. */
function escaped(path: string): string {
  return path.replaceAll(",", ",,");
}

/** Bus numbers that neither the common bus nor another node's reaches. */
const FIRST_BUS = 64;
const BUSES_PER_NODE = 8;

/**
 * A PCI bus of its own for each of those nodes, as only such a bus has a node, with a network card on it that is connected
 * to nothing; and a card on the common bus, whose node nobody knows.
 */
function nicArguments({ nics }: GuestShape): string[] {
  if (nics.length === 0) return [];
  const card = (bus: string): string[] => ["-device", `virtio-net-pci,bus=${bus},romfile=`];
  const own = nics.flatMap((node, index) => {
    const number = FIRST_BUS + BUSES_PER_NODE * index;
    return [
      ...["-device", `pxb,id=pci.node${node},bus=pci.0,bus_nr=${number},numa_node=${node}`],
      ...card(`pci.node${node}`),
    ];
  });
  return [...own, ...card("pci.0")];
}

function machineOf({ arch, hmat }: GuestShape): string {
  // The older interrupt controller of `virt` serves eight CPUs.
  return arch === "arm64" ? "virt,gic-version=3" : `pc,hmat=${hmat ? "on" : "off"}`;
}

/**
 * Builds QEMU's command line.
 *
 * @param shape The machine.
 * @param parts What runs in it.
 * @returns The arguments of QEMU for that processor.
 */
export function qemuArguments(shape: GuestShape, parts: GuestParts): string[] {
  const total = shape.nodes.reduce((sum, node) => sum + node.memory_mib, 0);
  const append = kernelArguments(shape, parts);
  const share = "local,security_model=none,multidevs=remap";
  return [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-machine", machineOf(shape), "-accel", "tcg,thread=multi"],
    ...["-cpu", PROCESSORS[shape.arch].cpu, "-m", `${total}M`],
    ...nodeArguments(shape),
    ...cpuArguments(shape),
    ...(shape.hmat ? hmatArguments(shape) : []),
    ...parts.counter ?? [],
    ...["-kernel", parts.kernel, "-initrd", parts.initramfs, "-append", append],
    ...["-chardev", `socket,id=console,fd=${parts.console_fd}`, "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci,id=ports"],
    ...parts.ports.flatMap(({ name, fd }, index) => [
      ...["-chardev", `socket,id=${name},fd=${fd}`],
      ...["-device", `virtserialport,bus=ports.0,nr=${index + 1},chardev=${name},name=${name}`],
    ]),
    ...Object.entries(parts.shares).flatMap(([tag, path]) => {
      const readonly = tag === "out" ? "off" : "on";
      return ["-virtfs", `${share},path=${escaped(path)},mount_tag=${tag},readonly=${readonly}`];
    }),
    // Behind those that leave their bus to QEMU, which would put them on one of these.
    ...nicArguments(shape),
  ];
}
