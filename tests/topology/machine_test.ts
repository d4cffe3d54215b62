import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { CpuSet, syntheticTopology, Topology, topology, xmlTopology } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { checkoutFile } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";

const sysfs = (path: string): string => readFileSync(`/sys/devices/system/${path}`, "utf8").trim();

describe("this machine", () => {
  it("is what the kernel says", () => {
    const machine = topology({ refresh: true });
    assert.equal(machine.snapshot.source, "live");
    assert.equal(machine.cpus.toString(), CpuSet.parse(sysfs("cpu/online")).toString());
    const nodes = CpuSet.parse(sysfs("node/online"));
    assert.deepEqual(machine.nodes.map(({ id }) => id), [...nodes]);
    for (const { id, cpus, totalBytes, hugepages } of machine.nodes) {
      assert.equal(cpus.toString(), CpuSet.parse(sysfs(`node/node${id}/cpulist`)).toString());
      const total = /MemTotal:\s+(\d+) kB/.exec(sysfs(`node/node${id}/meminfo`))?.[1];
      assert.ok(
        Math.abs(totalBytes / 1024 / Number(total) - 1) < 0.2,
        `${totalBytes} and ${total} kB`,
      );
      for (const { pageBytes, total } of hugepages) {
        const file = `node/node${id}/hugepages/hugepages-${pageBytes / 1024}kB/nr_hugepages`;
        assert.equal(total, Number(sysfs(file)));
      }
    }
    assert.equal(machine.allowedCpus.isSubsetOf(threadAffinity()), true);
    assert.ok(machine.effectiveCpus >= 1 && machine.effectiveCpus <= machine.allowedCpus.size);
    assert.ok(machine.effectiveCpus <= availableParallelism());
  });

  it("is loaded once, and anew on request", () => {
    assert.equal(topology(), topology());
    const before = topology();
    const after = topology({ refresh: true });
    assert.notEqual(before, after);
    assert.equal(before.equals(after), true);
  });

  it("survives JSON and structuredClone", () => {
    const machine = topology();
    assert.deepEqual(Topology.from(JSON.stringify(machine)).snapshot, machine.snapshot);
    assert.deepEqual(Topology.from(structuredClone(machine.snapshot)).snapshot, machine.snapshot);
    assert.equal(Object.isFrozen(machine.snapshot.nodes), true);
  });
});

describe("other machines", () => {
  it("come from synthetic descriptions", () => {
    const machine = syntheticTopology("pack:2 numa:2 l3:2 core:4 pu:2");
    assert.equal(machine.nodes.length, 4);
    assert.equal(machine.packages.length, 2);
    assert.equal(machine.l3Domains.length, 8);
    assert.equal(machine.cores.length, 32);
    assert.equal(machine.cpus.toString(), "0-63");
    assert.equal(machine.smtSiblings(1).toString(), "0-1");
    assert.equal(machine.nodeOfCpu(63), 3);
    assert.equal(machine.snapshot.source, "synthetic");
    assert.equal(machine.effectiveCpus, 64);
  });

  it("come from hwloc's XML files", () => {
    const machine = xmlTopology(checkoutFile("native/tests/fixtures/two_packages_hbm.xml"));
    assert.equal(machine.snapshot.source, "xml");
    assert.equal(machine.packages.length, 2);
    assert.equal(machine.nodes.some(({ memory }) => memory === "hbm"), true);
    assert.equal(Topology.from(JSON.stringify(machine)).equals(machine), true);
  });

  it("are refused when they are none", () => {
    for (const text of ["", "teapot:2", "pack:0", "\0", 7, null, undefined]) {
      throwsCode(() => syntheticTopology(text as string), "EINVAL");
    }
    throwsCode(() => xmlTopology("/nonexistent.xml"), "ENODEV");
    throwsCode(() => xmlTopology(checkoutFile("README.md")), "EINVAL");
    throwsCode(() => xmlTopology(null as unknown as string), "EINVAL");
  });
});
