import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { bit, listOf, NotASet, parseBits } from "../../lib/topology/xml/bits.ts";
import { readXml } from "../../lib/topology/xml/read_xml.ts";
import type { TopologySnapshot } from "../../lib/topology/snapshot.ts";
import { Topology } from "../../lib/topology/topology.ts";
import { checkoutFile } from "../support/checkout.ts";
import { asFormat2, type Format, hwlocsSnapshot, smallMachine } from "../support/hwloc_xml.ts";

const FORMATS: readonly Format[] = [1, 2, 3];
const folder = mkdtempSync(join(tmpdir(), "numakit-xml-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const read = (text: string): TopologySnapshot => readXml(text, "read a machine");
/** A file says which hwloc wrote it, and hwloc which one it is itself; the order of attributes says nothing. */
const facts = (snapshot: TopologySnapshot): unknown => ({
  ...snapshot,
  hwloc: "",
  attributes: snapshot.attributes.map((value) => JSON.stringify(value)).toSorted(),
});

function hwlocs(text: string): TopologySnapshot {
  const path = join(folder, "machine.xml");
  writeFileSync(path, asFormat2(text));
  const snapshot = hwlocsSnapshot(path);
  assert.ok(snapshot !== undefined, "hwloc refuses it");
  return snapshot;
}

/** Two CPUs, one package with one node, and something in the package. */
function tiny(inside: string, format: Format = 2, root = ""): string {
  const sets = 'cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"';
  const node = `<object type="NUMANode" os_index="0" ${sets} local_memory="1024"/>`;
  const version = format === 1 ? "" : ` version="${format}.0"`;
  return `<topology${version}>\n<object type="Machine" ${sets} ${root}>\n` +
    `<object type="Package" os_index="0" ${sets}>\n${node}\n${inside}\n</object>\n</object>\n</topology>\n`;
}

describe("a machine in hwloc's XML", () => {
  for (const format of FORMATS) {
    it(`is the same in format ${format}`, () => {
      const machine = Topology.from(read(smallMachine(format)));
      assert.equal(machine.snapshot.source, "xml");
      assert.equal(machine.snapshot.hwloc, `${format}.0.0`);
      assert.equal(machine.cpus.text, "0-3,64-67");
      assert.equal(machine.allowedCpus.text, "0-3,64-67");
      assert.equal(machine.allowedNodes.text, "0,4");
      assert.deepEqual(
        machine.nodes.map(({ id, cpus, totalBytes }) => [id, cpus.text, totalBytes]),
        [
          [0, "0-3", 2 ** 30],
          [4, "64-67", 2 ** 31],
        ],
      );
      assert.deepEqual(machine.packages.map(({ id, cpus, model }) => [id, cpus.text, model]), [
        [0, "0-3", 'Small "machine" & Co <1>'],
        [1, "64-67", 'Small "machine" & Co <1>'],
      ]);
      assert.deepEqual(machine.cores.map(({ id, cpus }) => `${id} ${cpus}`), [
        "0 0-1",
        "1 2-3",
        "0 64-65",
        "1 66-67",
      ]);
      assert.deepEqual(
        machine.snapshot.caches.map(({ level, type, bytes, line, cpus }) =>
          [level, type, bytes, line, cpus].join(" ")
        ),
        [
          ...["0-1", "2-3", "64-65", "66-67"].map((cpus) => `1 data 32768 64 ${cpus}`),
          ...["0-1", "2-3", "64-65", "66-67"].map((cpus) => `2 unified 65536 64 ${cpus}`),
          ...["0-3", "64-67"].map((cpus) => `3 unified 8388608 64 ${cpus}`),
        ],
      );
      assert.deepEqual(machine.snapshot.distances, { nodes: [0, 4], matrix: [[10, 21], [21, 10]] });
      const kinds = machine.cores.map(({ kind }) => kind);
      assert.deepEqual(kinds, format === 1 ? Array(4).fill(undefined) : [0, 0, 1, 1]);
      assert.deepEqual(
        machine.snapshot.attributes,
        format === 1 ? [] : [
          { name: "Bandwidth", node: 0, initiator: "0-3", value: 100000, unit: "MiB/s" },
        ],
      );
      assert.equal(Topology.from(JSON.stringify(machine)).equals(machine), true);
    });

    it(`has the facts that hwloc gives, in format ${format}`, () => {
      const text = smallMachine(format);
      assert.deepEqual(facts(read(text)), facts(hwlocs(text)));
    });
  }

  it("has the facts that hwloc gives: dies, HBM, asymmetric distances, kinds of cores", () => {
    const path = checkoutFile("native/tests/fixtures/two_packages_hbm.xml");
    assert.deepEqual(facts(read(readFileSync(path, "utf8"))), facts(hwlocsSnapshot(path)!));
  });

  const cpuless = 'cpuset="0x0" complete_cpuset="0x0" nodeset="0x2" complete_nodeset="0x2"';
  const pair = 'cpuset="0x3" complete_cpuset="0x3" nodeset="0x1" complete_nodeset="0x1"';
  const info = (name: string, value: string): string => `<info name="${name}" value="${value}"/>`;
  const shapes: Readonly<Record<string, string>> = {
    "an object that has no CPUs": tiny(
      '<object type="Core" os_index="9" cpuset="0x0" complete_cpuset="0xc" nodeset="0x1" complete_nodeset="0x1"/>',
    ),
    "CPUs outside the machine": tiny(
      '<object type="Core" os_index="0" cpuset="0xf" complete_cpuset="0xf" nodeset="0x1" complete_nodeset="0x1"/>',
    ),
    "a group that is a die": tiny(`<object type="Group" kind="104" os_index="3" ${pair}/>`),
    "a die of format 1": tiny(
      `<object type="Group" os_index="3" ${pair}>${info("Type", "Die")}</object>`,
      1,
    ),
    "a part that may not be used": tiny("", 2, 'allowed_cpuset="0x2" allowed_nodeset="0xf...f"'),
    "no number of a package": tiny("").replace('"Package" os_index="0"', '"Package" os_index="-1"'),
    "memory without CPUs, format 1": tiny("", 1).replace(
      "</object>\n</topology>",
      `<object type="NUMANode" os_index="1" ${cpuless} local_memory="7"/>\n</object>\n</topology>`,
    ).replace('nodeset="0x1" complete_nodeset="0x1" >', 'nodeset="0x3" complete_nodeset="0x3">'),
    "no node, format 1":
      `<topology><object type="Machine" local_memory="77" cpuset="0x3" complete_cpuset="0x3">
<object type="Core" os_index="0" cpuset="0x3" complete_cpuset="0x3"/></object></topology>`,
    "a node around all, format 1":
      `<topology><object type="NUMANode" os_index="0" local_memory="77" ${pair}>
<object type="Core" os_index="0" ${pair}/></object></topology>`,
    "memory that the kernel's driver names": tiny("").replace(
      'local_memory="1024"/>',
      `local_memory="1024">${info("DAXType", "SPM")}</object>`,
    ),
  };
  for (const [name, text] of Object.entries(shapes)) {
    it(`has the facts that hwloc gives: ${name}`, () => {
      assert.deepEqual(facts(read(text)), facts(hwlocs(text)));
    });
  }

  const known = process.env["NUMAKIT_HWLOC_XML"];
  const skip = known === undefined &&
    "NUMAKIT_HWLOC_XML does not name a folder with hwloc's own XML files (its source has them)";
  it("has the facts that hwloc gives of its own test files", { skip }, () => {
    const files = readdirSync(known!, { encoding: "utf8", recursive: true })
      .filter((name) => name.endsWith(".xml")).toSorted();
    const differ: string[] = [];
    let same = 0;
    for (const file of files) {
      const text = readFileSync(join(known!, file), "utf8");
      if (!/<topology\b/.test(text)) continue;
      const path = join(folder, "machine.xml");
      writeFileSync(path, asFormat2(text));
      const want = hwlocsSnapshot(path);
      if (want === undefined) {
        assert.throws(() => read(text), { code: "EINVAL" }, file);
        continue;
      }
      try {
        assert.deepEqual(facts(read(text)), facts(want));
        same++;
      } catch (error) {
        differ.push(`${file}: ${error}`);
      }
    }
    assert.deepEqual(differ, []);
    assert.ok(same > 20, `${same} of ${files.length} files`);
  });
});

describe("XML itself", () => {
  it("may have comments, quotes of both kinds, entities and spaces", () => {
    const plain = tiny(
      '<object type="Core" os_index="5" cpuset="0x3" complete_cpuset="0x3" nodeset="0x1"/>',
    );
    const other = plain.replace('type="Core"', "type = 'Co&#114;&#x65;'")
      .replace("<topology", "<!-- <x> --><?pi <y ?>\n<topology").replace(
        "</topology>",
        "</topology >\n",
      );
    assert.notEqual(plain, other);
    assert.deepEqual(read(`\ufeff${other}`.slice(1)), read(plain));
    assert.equal(read(other).cores[0]!.id, 5);
  });
});

describe("sets as hwloc writes them", () => {
  it("are words of 32 bits, the highest first, where empty ones are 0", () => {
    const lists: Readonly<Record<string, string>> = {
      "0x0": "",
      "": "",
      "0x00000001": "0",
      "0xf": "0-3",
      "f": "0-3",
      "0xFF00": "8-15",
      "0x00000001,,0x80000000": "31,64",
      "0x1,": "32",
      "0x0,0x0,0x5": "0,2",
      "0x80000000,0x00000001": "0,63",
      [`0x80000000${",".repeat(2047)}`]: "65535",
    };
    for (const [text, list] of Object.entries(lists)) {
      assert.equal(listOf(parseBits(text) as bigint), list, text);
    }
  });

  it("may have no end", () => {
    const machine = bit(0) | bit(31) | bit(32) | bit(100);
    assert.equal(listOf((parseBits("0xf...f") as bigint) & machine), "0,31-32,100");
    assert.equal(listOf((parseBits("0xf...f,0x00000001") as bigint) & machine), "0,32,100");
    assert.equal(listOf((parseBits("0xf...f,0x80000000,0x0") as bigint) & machine), "100");
  });

  it("are nothing else", () => {
    for (
      const text of [
        "x",
        "0x",
        "0xg",
        "0-3",
        "-1",
        "0x1 ",
        "0x1;0x2",
        "0x123456789",
        "0xf...",
        "0x1,0xf...f",
      ]
    ) {
      const set = parseBits(text);
      if (text === "0x") assert.equal(set, 0n);
      else assert.ok(set instanceof NotASet && !set.limit, text);
    }
    const high = parseBits(`0x1${",".repeat(2048)}`);
    assert.ok(high instanceof NotASet && high.limit);
  });
});
