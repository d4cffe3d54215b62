import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { Counted, type CountedRange, type Counts, counts, far } from "../../scripts/lib/counts.ts";
import { countWarnings, summarizeCounts } from "../../scripts/lib/count_summary.ts";

// What becomes of a file that the counter wrote.

let folder = "";
before(() => folder = mkdtempSync(join(tmpdir(), "numakit-summary-")));
after(() => rmSync(folder, { recursive: true, force: true }));

/** A different power of two in each place: no two sums of them are the same. */
const PLACES = { own: 64, l3: 2, domain: 4, node: 8, farCache: 16, memory: 32, farMemory: 1 };
const row = (range: string, cpu: number, some: Partial<Counts>) => ({
  range,
  counts: { cpu, ...counts(some) },
});
const times = (factor: number): Partial<Counts> =>
  Object.fromEntries(Object.entries(PLACES).map(([place, lines]) => [place, factor * lines]));

/** CPU 10 stands before CPU 2, and has two rows. */
const SECTION = {
  name: "bun",
  whole: true,
  times: 1,
  rows: [
    row("", 10, { loads: 100_000, stores: 30_048, ...times(1024) }),
    row("", 2, { loads: 100, stores: 27, ...times(1), upgrades: 5, farUpgrades: 3 }),
    row("lock", 2, { invalidations: 7, farInvalidations: 6 }),
    row("lock", 10, { loads: 1, own: 1 }),
  ],
};

/** A page: its address, the node of its memory, and lines by the node that fetched them. */
type Page = readonly [number, number, readonly number[]];

/** A section of the program. */
const LATER = {
  ...{ name: "later", whole: false, times: 1 },
  rows: [row("lock", 4, { stores: 9, farMemory: 9 })],
};
const LOCK: CountedRange = { name: "lock", lines: 3, named: 3, distinct: 3 };

/** Reads what is written here. */
function read(file: {
  readonly notes?: string[];
  readonly open?: string[];
  readonly pages?: readonly Page[];
  readonly ranges?: readonly CountedRange[];
  readonly sections?: readonly typeof SECTION[];
}): Counted {
  const path = join(folder, "counts.json");
  const usual = { ranges: [LOCK], sections: [SECTION, LATER], notes: [], open: [], pages: [] };
  writeFileSync(path, JSON.stringify({ ...usual, ...file }));
  return new Counted(path);
}

/** The summary's lines. With colors they end in blanks. */
const summary = (file: Parameters<typeof read>[0]): string[] =>
  stripVTControlCharacters(summarizeCounts(read(file), (cpu) => cpu === 10 ? 1 : 0))
    .split("\n").map((line) => line.trimEnd());

describe("Counted", () => {
  it("sums some CPUs, and all", () => {
    const counted = read({});
    const sum = (cpus?: number[]) => counted.sum("bun", () => true, cpus);
    assert.deepEqual(sum([2]), {
      ...{ loads: 100, stores: 27, ...PLACES, upgrades: 5, farUpgrades: 3 },
      ...{ invalidations: 7, farInvalidations: 6 },
    });
    assert.deepEqual(sum([2, 10]), sum());
    assert.equal(sum().loads, 100_101);
    assert.deepEqual(sum([0, 1]), counts({}));
    assert.deepEqual(sum([]), counts({}));
  });

  it("tells ranges apart", () => {
    const counted = read({});
    assert.deepEqual(counted.counts("bun", "lock"), {
      ...counts({ loads: 1, own: 1, invalidations: 7, farInvalidations: 6 }),
    });
    assert.deepEqual(counted.counts("bun", "lock", 10), counts({ loads: 1, own: 1 }));
    assert.equal(counted.counts("bun", "").own, 64 * 1025);
    assert.equal(counted.sum("bun", (range) => range !== "").own, 1);
  });

  it("has CPUs as numbers, sections, ranges and their lines", () => {
    const counted = read({});
    assert.deepEqual(counted.cpus, [2, 4, 10]);
    assert.equal(counted.all([4]).farMemory, 9);
    assert.equal(counted.all().loads, 100_101);
    assert.deepEqual(counted.sections, ["bun", "later"]);
    assert.deepEqual([...counted.ranges], [["lock", 3]]);
    assert.throws(() => counted.counts("none", ""), /no section "none" was counted/);
  });

  it("takes lines from caches and from memory of other nodes as far", () => {
    assert.equal(far(counts(PLACES)), 16 + 1);
  });
});

describe("the summary of counts", () => {
  it("has a CPU's accesses, and who was seen on it", () => {
    const notes = [
      "thread 11 2 20 bun",
      "thread 12 2 40 Bun Pool 1",
      "thread 13 2 30 bun",
      "thread 11 10 1 bun",
      "thread 14 10 5 three",
      "thread 15 10 10 two 2",
      "thread 16 10 84 one",
      "something else 1 2 3",
    ];
    // The fourth of CPU 10 is left out, and counts.
    assert.deepEqual(summary({ notes }), [
      "Lines by CPU",
      "  CPU  node  accesses  in its cache  from its node  from others                     threads seen there",
      "  2       0       127        50.4 %             46           17          bun 55.6 %, Bun Pool 1 44.4 %",
      "  4       0         9         0.0 %              0            9",
      "  10      1   130,049        50.4 %         47,104       17,408  one 84.0 %, two 2 10.0 %, three 5.0 %",
      "",
      "Lines by section",
      "  section             accesses  from others",
      "  (outside sections)   130,176       17,425",
      "  later                      9            9",
      "",
      "Lines by range",
      "  range  lines  accesses  from others",
      "  lock       3        10            9",
      "",
      "Memory with most lines from other nodes",
      "  lines  on node  fetched by  addresses",
      "",
    ]);
  });

  it("has memory by mapping, most lines first", () => {
    const notes = [
      "memory 10000000-10010000 /lib/one.so",
      "memory 10010000-10020000 /lib/two words.so",
      "memory 20000000-20100000 ",
      "memory 30000000-30100000 [heap]",
    ];
    const pages: Page[] = [
      // A mapping's last page and the next one's first, whose last one is followed by nobody's.
      [0x1001_0000, 0, [0, 30]],
      [0x1000_f000, 1, [2000, 0]],
      [0x1001_f000, 2, [0, 4]],
      [0x1002_0000, 0, [0, 5]],
      // A mapping's very start, and a page 64 KiB after that one's end; then one that is further away.
      [0x3000_0000, 1, [60, 0, 40]],
      [0x3001_1000, 1, [11, 0, 0]],
      [0x3002_3000, 0, [0, 7]],
      [0x2000_0000, 0, [0, 6]],
    ];
    const text = summary({ notes, pages });
    assert.deepEqual(text.slice(text.indexOf("Memory with most lines from other nodes")), [
      "Memory with most lines from other nodes",
      "  lines  on node  fetched by          addresses",
      "  2,000        1           0  1000f000-10010000                /lib/one.so",
      "  111          1        0, 2  30000000-30012000                     [heap]",
      "  34        0, 2           1  10010000-10020000          /lib/two words.so",
      "  7            0           1  30023000-30024000                     [heap]",
      "  6            0           1  20000000-20001000           anonymous memory",
      "  5            0           1  10020000-10021000  another process, or freed",
      "",
    ]);
  });

  it("has the ten places with most lines", () => {
    const pages = Array.from({ length: 12 }, (_, at): Page => [at << 20, 0, [0, 1 + at]]);
    const text = summary({ pages }).join("\n");
    assert.equal(text.match(/another process, or freed/g)?.length, 10);
    assert.match(text, /\n {2}12 .* b00000-b01000 /);
    assert.match(text, /\n {2}3 .* 200000-201000 /);
    assert.doesNotMatch(text, / 100000-101000 /);
  });

  it("tells what the program calls as the command is called, or as the rest is", () => {
    const named = (name: string) => ({ ...LATER, name });
    const counted = { sections: [SECTION, named("bun"), named("(outside sections)")] };
    assert.deepEqual(summary(counted).filter((line) => /bun|outside/.test(line)), [
      "  (outside sections)     130,176       17,425",
      "  bun                          9            9",
      '  "(outside sections)"         9            9',
    ]);
    assert.equal(read(counted).sum("bun", () => true).stores, 9);
  });

  it("has no tables of sections and ranges where there are none", () => {
    const text = summary({ sections: [SECTION], ranges: [] }).join("\n");
    assert.doesNotMatch(text, /by section|by range/);
  });

  it("has names that a terminal can take", () => {
    const name = `\x1b[31m${"n".repeat(100)}`;
    const ranges = [{ ...LOCK, name }];
    const notes = [`thread 11 2 20 \x07${"t".repeat(100)}`, "memory 20000000-20100000 /a\tb"];
    const text = summary({
      ...{ ranges, notes, pages: [[0x2000_0000, 0, [0, 6]]] },
      sections: [SECTION, { ...LATER, name }],
    });
    const shown = `\\u{1b}[31m${"n".repeat(49)}…`;
    assert.equal(text.filter((line) => line.includes(`  ${shown} `)).length, 2, text.join("\n"));
    assert.ok(text.some((line) => line.includes(`  \\u{7}${"t".repeat(54)}… 100.0 %`)));
    assert.ok(text.some((line) => line.endsWith("  /a\\u{9}b")));
  });
});

describe("warnings of counts", () => {
  it("are none where all is as it should be", () => {
    assert.deepEqual(countWarnings(read({})), []);
  });

  it("name what was open, and what was named and is not there", () => {
    const ranges = [LOCK, { name: "zeros", lines: 64, named: 1024, distinct: 64 }];
    assert.deepEqual(countWarnings(read({ open: ["bun", "in\ner"], ranges })), [
      'sections that had not ended, and count as far as they came: "bun", "in\\u{a}er"',
      'range "zeros": 1,024 lines were named, and 64 of them differ: write memory before you name ' +
      "it, or it is one page of zeros",
    ]);
  });
});
