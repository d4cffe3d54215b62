/**
 * Damaged XML files: each is a machine or an EINVAL, and never takes long.
 *
 * `NUMAKIT_FUZZ_SEED=2` chooses other damages, `NUMAKIT_FUZZ_TIMES=10` makes more.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import process from "node:process";
import { describe, it } from "node:test";
import { NumaError } from "../../lib/base/error.ts";
import { Topology } from "../../lib/topology/topology.ts";
import { readXml } from "../../lib/topology/xml/read_xml.ts";
import { checkoutFile } from "../support/checkout.ts";
import { random } from "../support/fuzz.ts";
import { smallMachine } from "../support/hwloc_xml.ts";

const SEED = Number(process.env["NUMAKIT_FUZZ_SEED"] ?? 1);
const FILES = 10_000 * Number(process.env["NUMAKIT_FUZZ_TIMES"] ?? 1);
/** Far more than one takes, also on a busy machine. */
const MAX_MS = 5000;

const SOURCES = [
  smallMachine(1),
  smallMachine(2),
  smallMachine(3),
  readFileSync(checkoutFile("native/tests/fixtures/two_packages_hbm.xml"), "utf8"),
];
/** What has gone wrong in readers before. */
const TOKENS = [
  ...[
    "0xf...f",
    "0xf...f,0x0",
    "0x",
    ",",
    ",,,,",
    "0x00000000",
    "0xffffffff",
    "-1",
    "0",
    "1",
    "65535",
  ],
  ...["65536", "4294967295", "18446744073709551615", "1e9", "9".repeat(400), "NaN", "Infinity", ""],
  ...[
    "<",
    ">",
    "/>",
    "</",
    "&",
    "&amp;",
    "&#0;",
    "&#x110000;",
    "&x;",
    '"',
    "'",
    "=",
    "\0",
    "\ufffd",
    "\n",
  ],
  ...["<!--", "-->", "<![CDATA[", "<?", "<!DOCTYPE x [", "]]>", "<object>", "</object>", "<info/>"],
  ...[
    'type="Group"',
    'type="NUMANode"',
    'type="Misc"',
    "Cache",
    "Die",
    "PU",
    "Machine",
    "__proto__",
  ],
  ...['version="1.0"', 'version="3.0"', 'kind="104"', "<distances2", "<object ".repeat(300)],
];

/** One damage. */
function damage(text: string, next: () => number): string {
  const below = (limit: number): number => Math.floor(next() * limit);
  const at = below(text.length);
  const end = Math.min(text.length, at + 1 + below([4, 40, 400, 4000][below(4)]!));
  const token = TOKENS[below(TOKENS.length)]!;
  switch (below(8)) {
    case 0: // a character
      return text.slice(0, at) + String.fromCharCode(below(128)) + text.slice(at + 1);
    case 1: // less
      return text.slice(0, at) + text.slice(end);
    case 2: // twice
      return text.slice(0, end) + text.slice(at);
    case 3: // something in between
      return text.slice(0, at) + token + text.slice(at);
    case 4: // cut off
      return text.slice(0, at);
    case 5: { // another value
      const values = [...text.matchAll(/"[^"]*"/g)];
      const { index, 0: value } = values[below(values.length)] ?? { index: 0, 0: "" };
      return `${text.slice(0, index)}"${token}"${text.slice(index + value.length)}`;
    }
    case 6: { // two values exchanged
      const values = [...text.matchAll(/"[^"]*"/g)].map(([value]) => value);
      const [one, other] = [below(values.length), below(values.length)];
      let index = 0;
      return text.replaceAll(/"[^"]*"/g, (value) => {
        const now = index++;
        return now === one ? values[other] ?? value : now === other ? values[one] ?? value : value;
      });
    }
    default: { // lines elsewhere
      const lines = text.split("\n");
      const moved = lines.splice(below(lines.length), 1 + below(20));
      lines.splice(below(lines.length), 0, ...moved);
      return lines.join("\n");
    }
  }
}

describe("damaged XML files", () => {
  it(`are a machine or EINVAL: ${FILES} of seed ${SEED}`, () => {
    const next = random(SEED);
    let [machines, slowest] = [0, 0];
    for (let file = 0; file < FILES; file++) {
      let text = SOURCES[file % SOURCES.length]!;
      for (let count = 1 + Math.floor(next() ** 2 * 4); count > 0; count--) {
        text = damage(text, next);
      }
      const began = performance.now();
      try {
        const machine = Topology.from(readXml(text, "read a damaged file"));
        assert.ok(machine.nodes.length > 0 && machine.cpus.size > 0);
        machine.summary();
        machines++;
      } catch (error) {
        if (!(error instanceof NumaError) || error.code !== "EINVAL") {
          throw new Error(`file ${file} of seed ${SEED}:\n${text}`, { cause: error });
        }
        assert.match(error.message, /^Cannot read a damaged file: line \d+: /);
      }
      slowest = Math.max(slowest, performance.now() - began);
    }
    assert.ok(slowest < MAX_MS, `one took ${slowest} ms`);
    // Both happen: neither is everything damaged, nor everything taken.
    assert.ok(
      machines > FILES / 50 && machines < FILES / 2,
      `${machines} of ${FILES} are machines`,
    );
  });
});
