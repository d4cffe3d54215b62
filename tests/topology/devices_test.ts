import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { describe, it } from "node:test";
import fc from "fast-check";
import { nodeOf, NumaError, type Topology, Topology as Machine, topology } from "../../mod.ts";
import { parseDescription } from "../../lib/topology/parse_snapshot.ts";
import { throwsCode } from "../support/errors.ts";
import { describeMachine, machine, machines } from "../support/machines.ts";

function named(name: string): Topology {
  return machine(machines[name]!);
}

/** The machine of a list of devices, as the helper would describe them. */
function withDevices(devices: unknown, shape = machines["two-socket Xeon"]!): Topology {
  const description = { ...describeMachine(shape), devices };
  return Machine.from(parseDescription(JSON.stringify(description), null));
}

describe("topology().devices", () => {
  it("are in the snapshot by address, with their names", () => {
    const { devices, snapshot } = named("two-socket Xeon with devices");
    assert.deepEqual(snapshot.devices?.slice(0, 4), [
      {
        ...{ name: "nvme0", aliases: ["nvme0n1"], class: "nvme", address: "0000:17:00.0" },
        ...{ node: 0, cpus: "0-15,32-47" },
      },
      {
        ...{ name: "eth0", aliases: ["mlx5_0"], class: "network", address: "0000:98:00.0" },
        ...{ node: 1, cpus: "16-31,48-63" },
      },
      { name: "eth1", aliases: [], class: "network", address: "0000:98:00.1", cpus: "0-63" },
      {
        ...{ name: "0000:b1:00.0", aliases: [], class: "gpu", address: "0000:b1:00.0" },
        ...{ node: 1, cpus: "16-31,48-63" },
      },
    ]);
    assert.equal(devices[1]!.cpus.has(48), true);
    assert.ok(Object.isFrozen(devices) && Object.isFrozen(devices[1]));
  });

  it("are none where the machine does not describe any, and in snapshots of old", () => {
    const desktop = named("desktop");
    assert.equal("devices" in desktop.snapshot, false);
    assert.deepEqual(desktop.devices, []);
    assert.deepEqual(withDevices([]).snapshot.devices, []);
    assert.deepEqual(Machine.from(JSON.stringify(withDevices([]))).snapshot.devices, []);
  });

  it("are on no node that the machine has not", () => {
    const device = { address: "0000:01:00.0", class: "gpu", names: [], node: 7, cpus: "0-3" };
    assert.equal(withDevices([device]).devices[0]!.node, undefined);
    assert.equal(withDevices([{ ...device, cpus: undefined }]).devices[0]!.cpus.size, 0);
  });

  it("leave out names that are no words", () => {
    const names = ["a b", "", "x".repeat(256), "eth0,eth1", "eth2", "\n"];
    const [device] = withDevices([{ address: "0000:01:00.0", class: "network", names }]).devices;
    assert.deepEqual([device!.name, device!.aliases], ["eth2", []]);
  });

  it("are refused when they contradict themselves", () => {
    const good = JSON.stringify(named("two-socket Xeon with devices"));
    const edits: readonly (readonly [change: Record<string, unknown>, why: RegExp])[] = [
      [{ name: "" }, /devices\[0\]\.name is "", not a name/],
      [{ name: undefined }, /devices\[0\]\.name is missing/],
      [{ aliases: [7] }, /devices\[0\]\.aliases\[0\] is 7/],
      [{ aliases: "x" }, /devices\[0\]\.aliases is "x", not an array/],
      [{ class: "toaster" }, /devices\[0\]\.class is "toaster", not "network" or/],
      [{ address: "0000:98:00.0" }, /devices\[1\] is 0000:98:00\.0 a second time/],
      [{ node: 2 }, /devices\[0\]\.node is 2, and there is no such one/],
      [{ node: -1 }, /devices\[0\]\.node is -1/],
      [{ cpus: "63-64" }, /devices\[0\]\.cpus has 64/],
      [{ cpus: null }, /devices\[0\]\.cpus is null/],
    ];
    for (const [change, why] of edits) {
      const snapshot = JSON.parse(good);
      Object.assign(snapshot.devices[0], change);
      throwsCode(() => Machine.from(snapshot), "EINVAL", why);
    }
    for (const devices of [{}, null, 7, [7], [null]]) {
      throwsCode(() => Machine.from({ ...JSON.parse(good), devices }), "EINVAL", /devices/);
    }
  });

  it("make a helper's text that is none of ours fail as such", () => {
    const value = fc.oneof(
      fc.constantFrom(undefined, null, 0, 1, -1, "eth0", "0-3", "network", "0000:01:00.0", [], {}),
      fc.anything({ maxDepth: 1 }),
    );
    const device = fc.record({
      address: value,
      class: value,
      names: fc.oneof(fc.array(value, { maxLength: 3 }), value),
      node: value,
      cpus: value,
    });
    const devices = fc.oneof(fc.array(fc.oneof(device, value), { maxLength: 3 }), value);
    fc.assert(
      fc.property(devices, (list) => {
        try {
          const found = withDevices(list, machines["desktop"]!);
          assert.deepEqual(Machine.from(JSON.stringify(found)).snapshot, found.snapshot);
        } catch (error) {
          assert.ok(error instanceof NumaError && error.code === "EABI", String(error));
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("nodeOf", () => {
  const xeon = named("two-socket Xeon with devices");

  it("finds a device by each of its names", () => {
    for (const name of ["eth0", "mlx5_0", "0000:98:00.0", "0000:b1:00.0", "nvme2"]) {
      assert.equal(nodeOf(name, xeon), 1);
    }
    assert.equal(nodeOf("nvme0n1", xeon), 0);
  });

  it("is the only node where there is one", () => {
    assert.equal(nodeOf("eth0", named("VM with devices")), 0);
    const device = { address: "0000:00:03.0", class: "network", names: ["eth0"], cpus: "0-15" };
    const nodes = [{ id: 3, cpus: "0-15", bytes: 1 }, { id: 4, cpus: "" }];
    const description = { ...describeMachine(machines["desktop"]!), nodes, allowedNodes: "3" };
    const text = JSON.stringify({ ...description, devices: [device] });
    assert.equal(nodeOf("eth0", Machine.from(parseDescription(text, null))), 3);
  });

  it("lists the devices that there are", () => {
    throwsCode(
      () => nodeOf("bond0", xeon),
      "ENODEV",
      /tell the node of device "bond0": the devices of this machine are nvme0, nvme0n1, eth0, mlx5_0/,
    );
    const many = Array.from({ length: 700 }, (_, index) => ({
      address: `0000:${(index >> 5).toString(16).padStart(2, "0")}:${
        (index & 31).toString(16).padStart(2, "0")
      }.0`,
      ...{ class: "network", names: [`eth${index}`], node: 1, cpus: "" },
    }));
    assert.equal(nodeOf("eth699", withDevices(many)), 1);
    throwsCode(() => nodeOf("eth700", withDevices(many)), "ENODEV", /eth19, and 680 more\. Name/);
    throwsCode(() => nodeOf("eth0", withDevices([])), "ENODEV", /there is no network card, disk/);
    throwsCode(() => nodeOf("eth0", named("desktop")), "ENODEV", /\(live\) lists no devices/);
  });

  it("says that the kernel does not know a node, and what to do", () => {
    throwsCode(
      () => nodeOf("eth1", xeon),
      "ENODEV",
      /which node eth1 \(0000:98:00\.1\) is attached to\. .*> \/sys\/bus\/pci\/devices\/0000:98:00\.1\/numa_node/,
    );
  });

  it("does not choose between the nodes of a disk that hangs on two", () => {
    throwsCode(
      () => nodeOf("nvme1n1", xeon),
      "ENODEV",
      /nvme1n1 hangs on several nodes, 0-1: 0000:c1:00\.0 \(node 0\), 0000:c2:00\.0 \(node 1\)/,
    );
  });

  it("refuses what is no name or no topology", () => {
    for (const name of ["", "a b", "x".repeat(256), "a\n", undefined, null, 7, {}, []]) {
      throwsCode(() => nodeOf(name as string, xeon), "EINVAL", /the device is/);
    }
    for (const value of [null, {}, xeon.snapshot]) {
      throwsCode(() => nodeOf("eth0", value as Topology), "EINVAL", /the topology is/);
    }
  });
});

const hasPci = existsSync("/sys/bus/pci/devices");

describe("this machine's devices", () => {
  it("are what the kernel says", { skip: !hasPci && "no PCI bus here" }, () => {
    const { devices, nodes } = topology({ refresh: true });
    const addresses = devices.map(({ address }) => address);
    for (const address of readdirSync("/sys/bus/pci/devices")) {
      const file = (name: string): string =>
        readFileSync(`/sys/bus/pci/devices/${address}/${name}`, "utf8").trim();
      const base = file("class").slice(0, 4);
      if (!["0x01", "0x02", "0x03", "0x12"].includes(base)) continue;
      const device = devices[addresses.indexOf(address)];
      assert.ok(device !== undefined, `${address} is missing`);
      const node = Number(file("numa_node"));
      assert.equal(device.node, nodes.some(({ id }) => id === node) ? node : undefined);
      assert.equal(device.cpus.toString(), file("local_cpulist"));
    }
    for (const name of readdirSync("/sys/class/net")) {
      const target = readlinkSync(`/sys/class/net/${name}`);
      const address = /.*\/([0-9a-f]{4,}(?::[0-9a-f]{2}){2}\.[0-7])\//.exec(target)?.[1];
      const device = devices.find((one) => one.address === address);
      if (device?.class === "network") {
        assert.ok([device.name, ...device.aliases].includes(name), `${name} of ${address}`);
      }
    }
  });

  it("have a node if there is only one", { skip: !hasPci && "no PCI bus here" }, () => {
    const here = topology();
    for (const { name, node, address } of here.devices) {
      if (!here.isNuma || node !== undefined) assert.equal(typeof nodeOf(address), "number", name);
    }
  });
});
