import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { syntheticTopology, type Topology, xmlTopology } from "../../mod.ts";
import { smallMachine } from "../support/hwloc_xml.ts";
import { throwsCode } from "../support/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "numakit-xml-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function load(text: string): Topology {
  const path = join(folder, "machine.xml");
  writeFileSync(path, text);
  return xmlTopology(path);
}

const good = smallMachine(2);
/** The machine with something else in one place, on the line that is given. */
function changed(before: string | RegExp, now: string): { text: string; line: number } {
  const at = typeof before === "string" ? good.indexOf(before) : good.search(before);
  assert.ok(at >= 0, `${before}`);
  const text = good.replace(before, () => now);
  assert.notEqual(text, good);
  return { text, line: good.slice(0, at).split("\n").length };
}

describe("a damaged file", () => {
  const damages: Readonly<Record<string, readonly [string | RegExp, string, RegExp]>> = {
    "an attribute without quotes": ['os_index="64"', "os_index=64", /<object> has an attribute/],
    "an attribute twice": ['os_index="64"', 'os_index="64" os_index="64"', /has os_index twice/],
    "an index that is no number": ['os_index="64"', 'os_index="6x4"', /"6x4", not a whole number/],
    "a set that is none": ['cpuset="0x00000003"', 'cpuset="3-4"', /cpuset is "3-4", not a set/],
    "an end that is another's": [
      "</topology>",
      "</topologies>",
      /<\/topologies> where <\/topology>/,
    ],
    "no end": ["</topology>", "", /the file ends before this <topology> does/],
    "a type that nobody knows": ['type="Core"', 'type="Cork"', /the type "Cork"/],
    "an element that nobody knows": ["<page_type", "<page_tipe", /<page_tipe> in an object/],
    "text among objects": ["<page_type", "page <page_type", /text in <object>/],
    "an entity of its own": ["&quot;machine", "&machine;", /the entity &machine;/],
    "an entity without end": ["&quot;machine", "&quot machine", /the entity &quot/],
    "no cpuset": [/ cpuset="0x0000000f"/, "", /Package without cpuset/],
    "a PU with another's CPU": [
      'type="PU" os_index="1"',
      'type="PU" os_index="9"',
      /PU 9 with another CPU/,
    ],
    "a node with another's number": [
      '"NUMANode" os_index="0"',
      '"NUMANode" os_index="7"',
      /node 7 with another/,
    ],
    "a cache of the wrong level": ['depth="3"', 'depth="2"', /L3Cache of level 2/],
    "a value too few": ["10 21 21 10", "10 21 21", /distances of 2 nodes with 2 ids and 3 values/],
    "a format of the future": [
      'version="2.0"',
      'version="4.0"',
      /format "4\.0", and numakit reads 1 to 3/,
    ],
    "no format": ['version="2.0"', 'version="two"', /format "two"/],
    "another document": [
      /<topology[^]*<\/topology>/,
      "<html></html>",
      /<html>, where hwloc writes/,
    ],
    "declarations": [
      'SYSTEM "hwloc2.dtd"',
      '[<!ENTITY x SYSTEM "/etc/passwd">]',
      /DOCTYPE with declarations/,
    ],
    "a machine without nodes": [
      /<object type="NUMANode"[^]*?<\/object>/g,
      "",
      /a machine without NUMANode/,
    ],
  };
  for (const [name, [before, now, why]] of Object.entries(damages)) {
    it(`is EINVAL, with its line: ${name}`, () => {
      const { text, line } = changed(before, now);
      throwsCode(() => load(text), "EINVAL", why);
      const outer = /another document|no end|declarations|format|without nodes|too few/.test(name);
      throwsCode(
        () => load(text),
        "EINVAL",
        outer ? /: line \d+: / : new RegExp(`: line ${line}: `),
      );
    });
  }

  it("is EINVAL, with its line: two cores on one CPU", () => {
    const text = good.replaceAll('cpuset="0x00000003"', 'cpuset="0x00000007"');
    const line = good.slice(0, good.indexOf('type="Core" os_index="1"')).split("\n").length;
    const why = new RegExp(
      `: line ${line}: cores\\[1\\]\\.cpus has CPU 2, which is part of cores\\[0\\]`,
    );
    throwsCode(() => load(text), "EINVAL", why);
  });

  it("does not hang where a set has no end", () => {
    for (const set of ["0xf...f", "0xf...f,0x00000000"]) {
      const nodes = good.replace(/ nodeset="[^"]*"/, ` nodeset="${set}"`);
      assert.equal(load(nodes).nodes.length, 2);
      const allowed = good.replace(/allowed_nodeset="[^"]*"/, `allowed_nodeset="0xf...f"`)
        .replace(/allowed_cpuset="[^"]*"/, `allowed_cpuset="${set}"`);
      assert.equal(load(allowed).allowedNodes.text, "0,4");
      const all = good.replace(
        /cpuset="[^"]*" complete_cpuset="[^"]*"/,
        `cpuset="${set}" complete_cpuset="${set}"`,
      );
      throwsCode(() => load(all), "EINVAL", /the machine's cpuset has no end/);
      const node = good.replace(/(NUMANode[^>]*) nodeset="[^"]*"/, `$1 nodeset="${set}"`);
      throwsCode(() => load(node), "EINVAL", /node 0 with another node/);
    }
  });

  it("is EINVAL where there is nothing of XML in it", () => {
    for (
      const text of [
        "",
        "\n\n",
        "no XML",
        "\0",
        "<",
        "<>",
        "<!--",
        "<!DOCTYPE",
        "&amp;",
        "{}",
        "<a/><b/>",
      ]
    ) {
      throwsCode(() => load(text), "EINVAL", /: line \d+: /);
    }
  });
});

describe("numakit's own limits", () => {
  const sets = 'cpuset="0x1" complete_cpuset="0x1" nodeset="0x1" complete_nodeset="0x1"';
  const within = (objects: string): string =>
    `<topology version="2.0"><object type="Machine" ${sets}>` +
    `<object type="NUMANode" os_index="0" ${sets}/>${objects}</object></topology>`;
  const group = (count: number): string => `<object type="Group" ${sets}/>`.repeat(count);

  it("are 2,048 objects in one", () => {
    assert.equal(load(within(group(2047))).nodes.length, 1);
    throwsCode(
      () => load(within(group(2048))),
      "EINVAL",
      /more than 2048 others\. numakit reads no more/,
    );
    // Devices are none.
    assert.equal(load(within('<object type="PCIDev"/>'.repeat(3000))).nodes.length, 1);
  });

  it("are 32,768 objects in all", () => {
    const groups = (count: number): string =>
      `<object type="Group" ${sets}>${group(count)}</object>`;
    assert.equal(load(within(groups(2046).repeat(16))).nodes.length, 1);
    throwsCode(
      () => load(within(groups(2047).repeat(17))),
      "EINVAL",
      /more than 32768 objects\. numakit reads no more/,
    );
  });

  it("are elements 64 deep", () => {
    const deep = (levels: number): string =>
      within(`<object type="Group" ${sets}>`.repeat(levels) + "</object>".repeat(levels));
    assert.equal(load(deep(62)).nodes.length, 1);
    throwsCode(() => load(deep(63)), "EINVAL", /more than 64 deep.*most that numakit reads/);
    throwsCode(() => load(deep(200_000)), "EINVAL", /more than 64 deep/);
  });

  it("are ids up to 65,535", () => {
    const high = `0x80000000${",".repeat(2047)}`;
    const all = (set: string): string => within("").replaceAll(/cpuset="0x1"/g, `cpuset="${set}"`);
    assert.equal(load(all(high)).cpus.text, "65535");
    throwsCode(
      () => load(all(`0x1,${high}`)),
      "EINVAL",
      /an id over 65535\. That is the greatest that numakit knows/,
    );
    throwsCode(
      () => load(within(`<object type="PU" os_index="65536" ${sets}/>`)),
      "EINVAL",
      /CPU 65536\. The greatest id that numakit knows is 65535/,
    );
  });

  it("hold for synthetic descriptions, and are not hwloc's", () => {
    for (const text of ["pu:8192", "numa:2 pu:2049", "pack:64 core:64 pu:64"]) {
      throwsCode(() => syntheticTopology(text), "EINVAL", /a limit of numakit's, not of hwloc's/);
    }
    for (
      const text of [
        "pu:2048",
        "numa:8(memory=8192MB) core:8(indexes=7,6,5,4,3,2,1,0) pu:4",
        "2 2 2",
      ]
    ) {
      assert.ok(syntheticTopology(text).cpus.size > 7, text);
    }
    throwsCode(() => syntheticTopology("numa:1 pu:2(indexes=0,70000)"), "EINVAL", /70000/);
    throwsCode(() => syntheticTopology("teapot:2"), "EINVAL", /hwloc does not recognize it/);
  });
});

describe("a file that cannot be read", () => {
  it("is ENODEV where it does not exist, with its name", () => {
    const path = join(folder, "nothing.xml");
    throwsCode(
      () => xmlTopology(path),
      "ENODEV",
      /nothing\.xml": there is no such file \(ENOENT\)/,
    );
    throwsCode(() => xmlTopology(join(path, "inside")), "ENODEV", /there is no such file/);
    writeFileSync(join(folder, "file"), "");
    throwsCode(() => xmlTopology(join(folder, "file/inside")), "ENODEV", /ENOTDIR/);
  });

  it("is EINVAL where it is a folder, a pipe or a device", () => {
    throwsCode(() => xmlTopology(folder), "EINVAL", /it is a folder/);
    execFileSync("mkfifo", [join(folder, "pipe")]);
    throwsCode(() => xmlTopology(join(folder, "pipe")), "EINVAL", /not a regular file/);
    throwsCode(() => xmlTopology("/dev/null"), "EINVAL", /not a regular file/);
  });

  it("is EPERM where this user may not read it", () => {
    const closed = join(folder, "closed");
    mkdirSync(closed);
    writeFileSync(join(closed, "machine.xml"), good);
    const ask = (): void =>
      throwsCode(
        () => xmlTopology(join(closed, "machine.xml")),
        "EPERM",
        /may not read it \(EACCES\)/,
      );
    chmodSync(closed, 0o000);
    try {
      if (process.getuid!() !== 0) return ask();
      process.seteuid!(65534);
      try {
        ask();
      } finally {
        process.seteuid!(0);
      }
    } finally {
      chmodSync(closed, 0o700);
    }
  });
});
