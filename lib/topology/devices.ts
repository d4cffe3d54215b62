import { show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { CpuSet } from "./cpu_set.ts";
import { topology } from "./load.ts";
import { DEVICE_NAME } from "./read_snapshot.ts";
import type { DeviceInfo } from "./snapshot.ts";
import { isTopology, type Topology, type TopologyPart } from "./topology.ts";

/** How many names an error lists. */
const MAX_LISTED = 20;

type Device = TopologyPart<DeviceInfo>;

/**
 * Checks what may be the name of a device, but not whether there is one.
 *
 * @param device What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The name.
 * @throws {NumaError} `EINVAL`.
 */
export function checkDevice(device: unknown, action: string): string {
  if (typeof device === "string" && DEVICE_NAME.test(device)) return device;
  throw new NumaError("EINVAL", action, {
    why: `the device is ${show(device)}`,
    fix: 'Give the name of one, such as "eth0" or "nvme0n1", or its PCI address.',
  });
}

/**
 * The devices of a name. There are several of one where a disk hangs on several controllers.
 *
 * @param machine The machine.
 * @param name A name or a PCI address.
 * @param action What was asked, as it follows "Cannot".
 * @returns At least one.
 * @throws {NumaError} `ENODEV`, with the names that there are.
 */
function findDevices(machine: Topology, name: string, action: string): readonly Device[] {
  const found = machine.devices.filter((device) =>
    device.name === name || device.address === name || device.aliases.includes(name)
  );
  if (found.length > 0) return found;
  if (machine.snapshot.devices === undefined) {
    throw new NumaError("ENODEV", action, {
      why: `this description of a machine (${machine.snapshot.source}) lists no devices`,
      fix: "Only topology() on the machine itself lists them, where /sys/bus/pci can be read.",
    });
  }
  const names = machine.devices.flatMap((device) => [device.name, ...device.aliases]);
  const more = names.length > MAX_LISTED ? `, and ${names.length - MAX_LISTED} more` : "";
  throw new NumaError("ENODEV", action, {
    why: names.length === 0
      ? "there is no network card, disk controller, GPU or accelerator on this machine's PCI bus"
      : `the devices of this machine are ${names.slice(0, MAX_LISTED).join(", ")}${more}`,
    fix:
      "Name a device of the PCI bus: below a bond, a bridge or a RAID there is one. For one that " +
      "is new, topology({ refresh: true }) looks again.",
  });
}

/** The node of a machine that has no other. */
function onlyNode(machine: Topology): number | undefined {
  if (machine.isNuma) return undefined;
  return (machine.nodes.find(({ totalBytes, cpus }) => totalBytes > 0 || cpus.size > 0) ??
    machine.nodes[0])?.id;
}

/**
 * The node that a device is attached to, for a caller that has a better name for what it does.
 *
 * @param machine The machine.
 * @param device A name that {@linkcode checkDevice} has checked.
 * @param action What was asked, as it follows "Cannot".
 * @returns The node's id.
 * @throws {NumaError} As {@linkcode nodeOf}.
 */
export function deviceNode(machine: Topology, device: string, action: string): number {
  const devices = findDevices(machine, device, action);
  const only = onlyNode(machine);
  if (only !== undefined) return only;
  const lost = devices.find(({ node }) => node === undefined);
  if (lost !== undefined) {
    throw new NumaError("ENODEV", action, {
      why: `the kernel does not know which node ${device} (${lost.address}) is attached to`,
      fix: "Firmware tells it (ACPI _PXM), or the virtual machine's settings. As root, " +
        `\`echo NODE > /sys/bus/pci/devices/${lost.address}/numa_node\` sets it. Or choose a node ` +
        "yourself.",
    });
  }
  const [node, ...others] = new Set(devices.map((one) => one.node as number));
  if (others.length === 0) return node as number;
  const places = devices.map((one) => `${one.address} (node ${one.node})`).join(", ");
  throw new NumaError("ENODEV", action, {
    why: `${device} hangs on several nodes, ${CpuSet.from([node as number, ...others])}: ${places}`,
    fix: "Name one of these addresses, or choose a node yourself.",
  });
}

/**
 * The node that a device is attached to: that of its PCI slot.
 *
 * Memory for its DMA, and threads that serve it, belong there. On a machine with one node it is that node, whatever the
 * kernel knows about the device.
 *
 * @param device A name (`"eth0"`, `"nvme0n1"`, `"renderD128"`, `"mlx5_0"`) or a PCI address (`"0000:00:03.0"`), as
 * {@linkcode Topology.devices} lists them.
 * @param machine The machine. Default: this one.
 * @returns The node's id.
 * @throws {NumaError} `ENODEV` there is no such device (the message lists those that there are), or the kernel does not
 * know its node, or it hangs on several nodes; `EINVAL` when it is not a name.
 *
 * @example
 * ```ts
 * import { Arena, nodeOf, topology } from "@numakit/numakit";
 *
 * for (const { name } of topology().devices.filter((device) => device.class === "network")) {
 *   using buffers = Arena.create({ node: nodeOf(name), size: "1 MiB" });
 *   console.log(name, buffers.node);
 * }
 * ```
 */
export function nodeOf(device: string, machine: Topology = topology()): number {
  const action = `tell the node of device ${show(device)}`;
  checkDevice(device, action);
  if (isTopology(machine)) return deviceNode(machine, device, action);
  throw new NumaError("EINVAL", action, {
    why: `the topology is ${show(machine)}`,
    fix: "Give a Topology.",
  });
}
