import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { checkoutFile, onDeno, runModule, sibling } from "../support/checkout.ts";

interface Said {
  readonly source: string;
  readonly variable: string | null;
  readonly kept: string | null;
  readonly summary: string;
  readonly topo: string;
}

const folder = mkdtempSync(join(tmpdir(), "numakit-fsroot-"));
after(() => rmSync(folder, { recursive: true, force: true }));
/** A machine of two CPUs and one node, as its kernel describes it. */
const FILES: Readonly<Record<string, string>> = {
  "cpu/online": "0-1",
  ...Object.fromEntries([0, 1].flatMap((cpu) => {
    const files = {
      core_id: `${cpu}`,
      physical_package_id: "0",
      core_cpus: `${1 << cpu}`,
      package_cpus: "3",
    };
    return Object.entries(files).map(([name, text]) => [`cpu/cpu${cpu}/topology/${name}`, text]);
  })),
  "node/online": "0",
  "node/node0/cpumap": "00000003",
  "node/node0/meminfo": "Node 0 MemTotal:       1048576 kB",
};
for (const [path, text] of Object.entries(FILES)) {
  const file = join(folder, "sys/devices/system", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${text}\n`);
}
const XML = checkoutFile("native/tests/fixtures/two_packages_hbm.xml");
const module = sibling(import.meta.url, "../modules/stand_in");

function said(env: Record<string, string>, denoFlags?: readonly string[]): Said {
  const ran = runModule(
    module,
    denoFlags === undefined ? { env } : { env, denoFlags, args: ["no topo"] },
  );
  assert.equal(ran.status, 0, ran.stderr);
  return JSON.parse(ran.stdout);
}

describe("a machine in this one's place", () => {
  const cases: Readonly<Record<string, readonly [Record<string, string>, string]>> = {
    "a synthetic one": [{ HWLOC_SYNTHETIC: "numa:3 core:2 pu:1" }, "HWLOC_SYNTHETIC"],
    "one of a file": [{ HWLOC_XMLFILE: XML }, "HWLOC_XMLFILE"],
    "a synthetic one, which is stronger than a file": [
      { HWLOC_XMLFILE: XML, HWLOC_SYNTHETIC: "numa:3 core:2 pu:1" },
      "HWLOC_SYNTHETIC",
    ],
    "one that a list of components allows": [
      { HWLOC_COMPONENTS: "synthetic", HWLOC_SYNTHETIC: "numa:3 core:2 pu:1" },
      "HWLOC_SYNTHETIC",
    ],
    "one of a copy of /sys": [{ HWLOC_FSROOT: folder }, "HWLOC_FSROOT"],
  };
  for (const [name, [env, variable]] of Object.entries(cases)) {
    it(`is named as such in summary() and topo, with the variable: ${name}`, () => {
      const { source, variable: told, kept, summary, topo } = said(env);
      assert.notEqual(source, "live");
      assert.equal(told, variable);
      assert.equal(kept, variable);
      const sentence =
        `NOT THIS MACHINE: ${variable} is set, and hwloc shows another machine because of it. ` +
        "Unset it to see this one.";
      assert.equal(summary, sentence);
      assert.equal(topo, sentence);
    });
  }

  it("is not where no variable is set, or hwloc does not use it", () => {
    for (const env of [{}, { HWLOC_XMLFILE: "" }, { HWLOC_COMPONENTS: "-x86" }]) {
      const { source, variable, summary } = said(env as Record<string, string>);
      assert.deepEqual([source, variable], ["live", null]);
      assert.match(summary, /^\d+ NUMA node.*\(live/);
    }
  });

  const skip = !onDeno && "only Deno can keep the environment from a program";
  it("is named also where the environment may not be read", { skip }, () => {
    const flags = ["--allow-ffi", "--allow-read", "--allow-sys"];
    assert.equal(said({ HWLOC_XMLFILE: XML }, flags).variable, "HWLOC_*");
    assert.match(
      said({ HWLOC_XMLFILE: XML }, flags).summary,
      /a variable HWLOC_\*, which may not be read, is set/,
    );
    assert.equal(said({ HWLOC_SYNTHETIC: "pu:2" }, flags).variable, "HWLOC_SYNTHETIC");
  });
});
