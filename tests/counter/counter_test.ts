import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { range, section } from "../../bench/lines/marks.ts";
import { checkoutFile } from "../support/checkout.ts";
import { inExtent } from "../support/extent.ts";
import { clearCounts, findCounts } from "../../scripts/lib/count_file.ts";
import { countLines } from "../../scripts/lib/count_lines.ts";
import { Counted, type Counts, counts, far } from "../../scripts/lib/counts.ts";
import { FAULTS, type SeededFault } from "./faults.ts";

// The instrument is believed as far as it can be wrong: accesses whose lines are known, and faults that these tests find.

const LINES = 16_384;
const ROUNDS = 1000;
/** Pages of 1 MiB. */
const PAGES = 256;
const PAGE_BYTES = 4096;
/** Lines of 8 MiB and of 96 MiB. */
const MORE_LINES = 131_072;
const MOST_LINES = 1_572_864;

let folder = "";
before(() => folder = mkdtempSync(join(tmpdir(), "numakit-counter-")));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Counts the lines of tests/patterns.c in a guest with two nodes and two CPUs each. */
function countPatterns(options: readonly string[], plugin?: string): Counted {
  return countLines(
    ["--nodes", "2", "--memory", "512M", ...options],
    ["build/counter/patterns"],
    plugin === undefined ? {} : { NUMAKIT_COUNTER: plugin },
  ).counted;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

/** The differences from what the patterns have to come to, as text. */
function wrongIn(counted: Counted): string[] {
  const wrong: string[] = [];
  const check = (
    section: string,
    range: string,
    cpu: number | undefined,
    some: Partial<Counts>,
  ) => {
    const found = counted.counts(section, range, cpu);
    const wanted = counts(some);
    for (const key of Object.keys(wanted) as (keyof Counts)[]) {
      if (found[key] === wanted[key]) continue;
      wrong.push(`${section}, ${range}, CPU ${cpu}: ${key} ${found[key]}, not ${wanted[key]}`);
    }
  };
  check("once", "near", 0, { loads: LINES, memory: LINES });
  check("three times", "near", 0, { loads: 3 * LINES, memory: LINES, own: 2 * LINES });
  check("far", "far", 0, { loads: LINES, farMemory: LINES });
  check("8 MiB twice", "large", 0, { loads: 2 * MORE_LINES, memory: MORE_LINES, l3: MORE_LINES });
  check("96 MiB twice", "large", 0, { loads: 2 * MOST_LINES, memory: 2 * MOST_LINES });

  check("96 MiB, far", "far and large", 0, { loads: MOST_LINES, farMemory: MOST_LINES });

  // What the kernel does for itself does not count, and what it does for the program does.
  check("copied by the kernel", "near", undefined, {});
  const copied = counted.counts("copied by the kernel", "far", 0).farMemory;
  if (copied !== LINES) wrong.push(`copied by the kernel, far: ${copied} lines`);

  /** Two CPUs that change a line by turns: `from` is where the other one's is. */
  const bounced = (
    section: string,
    from: "domain" | "farCache",
    cpus: readonly [number, number],
    stores: "first" | "after a load",
  ) => {
    const isFar = from === "farCache";
    for (const [index, cpu] of cpus.entries()) {
      // The first one finds it in memory.
      const fetched = ROUNDS - (index === 0 ? 1 : 0);
      const upgrades = stores === "after a load" ? fetched : 0;
      check(section, "words", cpu, {
        ...{ loads: stores === "first" ? 0 : ROUNDS, stores: ROUNDS, [from]: fetched },
        ...{ own: stores === "first" ? 0 : ROUNDS, memory: index === 0 ? 1 : 0 },
        ...{ upgrades, farUpgrades: isFar ? upgrades : 0 },
        ...{ invalidations: fetched, farInvalidations: isFar ? fetched : 0 },
      });
    }
  };
  bounced("load and store, far", "farCache", [1, 2], "after a load");
  bounced("load and store, near", "domain", [0, 1], "after a load");
  bounced("compare-exchange, far", "farCache", [1, 2], "first");
  bounced("one line", "farCache", [1, 2], "first");
  check("two lines", "words", 1, { stores: ROUNDS, own: ROUNDS - 1, memory: 1 });
  check("two lines", "words", 2, { stores: ROUNDS, own: ROUNDS - 1, farMemory: 1 });

  check("shared by all", "far", 0, { loads: ROUNDS, farMemory: ROUNDS });
  check("shared by all", "far", 1, { loads: ROUNDS, domain: ROUNDS });
  check("shared by all", "far", 2, { loads: ROUNDS, memory: ROUNDS });
  check("shared by all", "far", 3, {
    ...{ loads: ROUNDS, stores: ROUNDS, domain: ROUNDS, own: ROUNDS },
    ...{ upgrades: ROUNDS, farUpgrades: ROUNDS },
    ...{ invalidations: 3 * ROUNDS, farInvalidations: 2 * ROUNDS },
  });

  check("to a line's end", "near", 0, { loads: PAGES, memory: PAGES });
  check("into the next line", "near", 0, { loads: 2 * PAGES, memory: 2 * PAGES });
  // The page after the last one is not read. What is in the next page does not count, wherever that one is.
  check("into the next page", "near", undefined, { loads: PAGES - 1, memory: PAGES - 1 });
  check("outer", "near", 0, { loads: LINES + ROUNDS, memory: LINES, own: ROUNDS });
  check("inner", "near", 0, { loads: LINES, own: LINES });
  return wrong;
}

describe("the counter in a guest with two nodes", () => {
  let counted: Counted;
  before(() => counted = countPatterns([]));

  it("finds each line where it is", () => {
    assert.deepEqual(wrongIn(counted), []);
  });

  it("knows the ranges", () => {
    const { ranges } = counted;
    assert.deepEqual([...ranges], [
      ["near", LINES],
      ["far", LINES],
      ["large", MOST_LINES],
      ["far and large", MOST_LINES],
      ["words", 2],
      ["unaligned", 2],
    ]);
  });

  it("counts next to nothing else where one thread only reads", () => {
    for (const section of ["once", "three times", "far", "8 MiB twice"]) {
      // The last CPU has what the guest does beside.
      for (const cpu of [0, 1, 2]) {
        const { loads, stores } = counted.counts(section, "", cpu);
        const text = `${section}, CPU ${cpu}: ${loads} loads, ${stores} stores`;
        assert.ok(loads + stores < 200, text);
      }
    }
  });

  it("has all sections, and each access in one place", () => {
    assert.equal(counted.sections.length, 18);
    for (const section of counted.sections) {
      for (const range of ["", ...counted.ranges.keys()]) {
        const { loads, stores, own, l3, domain, node, farCache, memory, farMemory } = counted
          .counts(section, range);
        assert.equal(loads + stores, own + l3 + domain + node + farCache + memory + farMemory);
      }
    }
  });
});

describe("a whole command that is counted", () => {
  let counted: Counted;
  before(() => counted = countPatterns(["--count"]));

  it("is a section, and so are those that it marks", () => {
    assert.equal(counted.sections.length, 19);
    assert.equal(counted.sections[0], "build/counter/patterns");
  });

  it("has each line from another node in a page", () => {
    const pages = counted.pages.map(({ lines }) => sum(lines));
    assert.equal(sum(pages), far(counted.all()));
    assert.ok(sum(pages) > LINES);
  });

  it("has the addresses that pages had in the program", () => {
    const mappings = counted.notes.flatMap((note) => {
      const [, start, end] = /^memory ([0-9a-f]+)-([0-9a-f]+) /.exec(note) ?? [];
      return start === undefined || end === undefined
        ? []
        : [{ start: parseInt(start, 16), end: parseInt(end, 16) }];
    });
    const known = counted.pages.filter(({ address }) =>
      mappings.some(({ start, end }) => address >= start && address < end)
    );
    // The others are of other processes: the guest's init, and what counts.
    assert.ok(counted.pages.every(({ address }) => address % PAGE_BYTES === 0));
    const [ours, all] = [known, counted.pages].map((some) =>
      sum(some.flatMap(({ lines }) => lines))
    );
    assert.ok(ours !== undefined && all !== undefined && ours > all / 2, `${ours} of ${all} lines`);
    // All of "far" has been read from the first node: each line of it, page by page.
    const full = new Set(
      known.filter(({ node, lines: [first = 0] }) => node === 1 && first >= LINES / PAGES)
        .map(({ address }) => address),
    );
    const isFar = (first: number) =>
      Array.from({ length: PAGES }, (_, page) => first + page * PAGE_BYTES)
        .every((address) => full.has(address));
    assert.ok([...full].some(isFar), `${full.size} pages`);
  });
});

describe("a command that does not come to its end", () => {
  /** Runs numa_vm with the program that ends in sections of its own. */
  function runUnfinished(file: string, options: readonly string[], ...how: string[]) {
    const command = ["build/counter/unfinished", ...how];
    const words = ["--nodes", "2", "--memory", "512M", "--count-to", file, ...options];
    return spawnSync(checkoutFile("scripts/numa_vm"), [...words, "--", ...command], {
      encoding: "utf8",
    });
  }

  it("is counted as far as it came", () => {
    const file = join(folder, "open.json");
    const { status, stderr } = runUnfinished(file, [], "crash");
    assert.equal(status, 134, stderr);
    const counted = new Counted(file);
    assert.deepEqual(counted.open, ["outer", "inner"]);
    assert.ok(counted.counts("inner", "zeros").loads >= 1024);
    const [zeros] = counted.namedRanges;
    assert.deepEqual(zeros, { name: "zeros", lines: 64, named: 1024, distinct: 64 });
    assert.match(stderr, /sections that had not ended, .*: "outer", "inner"/);
    assert.match(stderr, /range "zeros": 1,024 lines were named, and 64 of them differ/);
  });

  it("is stopped when it makes no progress, whatever counting it takes", () => {
    const file = join(folder, "stuck.json");
    const { status, stderr } = runUnfinished(file, ["--count", "--stuck", "15"], "block");
    assert.equal(status, 124, stderr);
    assert.match(stderr, /stopped: no progress for 15 s/);
    assert.deepEqual(new Counted(file).open, ["build/counter/unfinished", "outer", "inner"]);
  });

  it("is told that it ended a section that it had not begun, and nothing else", () => {
    const file = join(folder, "refused.json");
    const { status, stderr } = runUnfinished(file, ["--count"], "end");
    assert.equal(status, 125, stderr);
    assert.deepEqual(stderr.trim().split("\n").slice(1), [
      "numa_vm: counter: an end without its begin: nk_mark_end without nk_mark_begin",
    ]);
    assert.equal(existsSync(file), false);
  });
});

describe("marks of JavaScript, where nobody counts", () => {
  it("give what a section gave, and end it when it fails", async () => {
    assert.equal(await section("sums", () => 3), 3);
    await assert.rejects(
      section("fails", () => Promise.reject(new Error("as it has to"))),
      /has to/,
    );
  });

  it("take views of any kind, and empty ones", () => {
    for (const buffer of [new ArrayBuffer(256), new SharedArrayBuffer(256)]) {
      const views = [
        new Uint8Array(buffer, 64),
        new Float64Array(buffer, 64),
        new DataView(buffer),
      ];
      for (const view of views) range("bytes", view);
    }
    range("nothing", new Int32Array(0));
  });

  it("refuse names that C would not see whole", async () => {
    const bytes = new Uint8Array(64);
    for (const name of ["", "a\0b"]) {
      assert.throws(() => range(name, bytes), /Cannot name ".*": .* without a zero byte/);
      await assert.rejects(section(name, () => undefined), TypeError);
    }
  });
});

describe("what is counted is checked before it runs", () => {
  /** A PATH where QEMU is a script that only says that it was there, and the file that says so. */
  function fakeQemu(): { PATH: string; trace: string } {
    const bin = mkdtempSync(join(folder, "bin-"));
    const trace = join(bin, "booted");
    writeFileSync(join(bin, "qemu-system-x86_64"), `#!/bin/sh\n: > '${trace}'\nexit 1\n`, {
      mode: 0o755,
    });
    return { PATH: `${bin}:${process.env["PATH"]}`, trace };
  }

  /** Runs numa_vm with that QEMU. */
  function refuse(...words: string[]): { status: number | null; stderr: string; booted: boolean } {
    const { PATH, trace } = fakeQemu();
    const { status, stderr } = spawnSync(
      checkoutFile("scripts/numa_vm"),
      ["--nodes", "2", ...words],
      { encoding: "utf8", env: { ...process.env, PATH } },
    );
    return { status, stderr, booted: existsSync(trace) };
  }

  it("a guest that fails is an error with its status", () => {
    const { PATH } = fakeQemu();
    assert.throws(() => countLines(["--nodes", "2"], ["true"], { PATH }), /status 3/);
  });

  it("several commands are refused", () => {
    const file = join(folder, "several.json");
    for (const option of [["--count"], ["--count-to", file], ["--count", "--count-to", file]]) {
      const { status, stderr, booted } = refuse(...option, "--", "true", "--then", "true");
      assert.deepEqual({ status, booted }, { status: 2, booted: false }, stderr);
      assert.match(stderr, /--count and --count-to: one command at a time/);
    }
    // Without them there is a boot, or this would show nothing.
    assert.equal(refuse("--", "true", "--then", "true").booted, true);
  });

  it("a file that cannot be written is refused", () => {
    const file = join(folder, "none", "counts.json");
    const { status, stderr, booted } = refuse("--count-to", file, "--", "true");
    assert.deepEqual({ status, booted }, { status: 2, booted: false }, stderr);
    assert.ok(stderr.includes(`--count-to "${file}": ENOENT`), stderr);
  });

  it("what is no regular file is refused, and does not wait", () => {
    const pipe = join(folder, "pipe");
    spawnSync("mkfifo", [pipe]);
    for (const file of [pipe, folder, "/dev/null"]) {
      const { status, stderr, booted } = refuse("--count-to", file, "--", "true");
      assert.deepEqual({ status, booted }, { status: 2, booted: false }, stderr);
      assert.ok(stderr.includes(`--count-to "${file}": it is no regular file`), stderr);
    }
  });

  it("what is refused leaves earlier counts as they are", () => {
    const file = join(folder, "earlier.json");
    writeFileSync(file, "earlier");
    for (const words of [["--caches", "toString"], ["--cpus", "17"], []]) {
      const { status, stderr } = refuse("--count", "--count-to", file, ...words, "--", "true");
      assert.equal(status, words.length === 0 ? 3 : 2, stderr);
      assert.equal(stderr.trim().split("\n").length, 1, stderr);
      assert.equal(readFileSync(file, "utf8"), "earlier");
    }
  });

  it("a link is written through", () => {
    const [file, link] = [join(folder, "target.json"), join(folder, "link.json")];
    writeFileSync(file, "earlier");
    symlinkSync(file, link);
    assert.equal(findCounts(link), realpathSync(file));
    clearCounts(findCounts(link));
    assert.deepEqual([existsSync(file), lstatSync(link).isSymbolicLink()], [false, true]);
    assert.throws(() => findCounts(link), /ENOENT/);
    assert.equal(findCounts(file), join(realpathSync(folder), "target.json"));
  });

  it("caches without a counter, and a QEMU that it does not know, are refused", () => {
    const file = join(folder, "refused.json");
    const caches = refuse("--caches", "none", "--", "true");
    assert.deepEqual({ ...caches, stderr: "" }, { status: 2, stderr: "", booted: false });
    assert.match(caches.stderr, /give --count or --count-to/);
    const qemu = refuse("--count-to", file, "--", "true");
    assert.equal(qemu.status, 3);
    assert.match(qemu.stderr, /lines are counted with QEMU 7\.2/);
  });

  it("a command's end is that of counted, whether anybody counts or not", () => {
    const run = (...words: string[]) =>
      spawnSync(checkoutFile("build/counter/counted"), words, { encoding: "utf8" });
    assert.equal(run("sh", "-c", "kill -9 $$").status, 137);
    assert.equal(run("sh", "-c", "exit 7").status, 7);
    assert.equal(run("sh", "-c", "exit 0").status, 0);
    const { status, stderr } = run(join(folder, "none"));
    assert.equal(status, 127);
    assert.match(stderr, /No such file/);
    assert.equal(run().status, 2);
  });

  /** Runs a command under a `counted` that says what it notes, and looks often. */
  const notesOf = (...words: string[]) =>
    spawnSync(checkoutFile("build/counter/counted_notes"), words, { encoding: "utf8" });

  it("a thread's time is what it used, whatever its name is", () => {
    const shell = join(folder, "a) b (c");
    copyFileSync("/bin/sh", shell);
    // Half of it is the kernel's.
    const script = "i=0; while [ $i -lt 100000 ]; do : > /dev/null; i=$((i + 1)); done; times >&2";
    const { stderr } = notesOf(shell, "-c", script);
    const times = [...(/^0m.*/m.exec(stderr)?.[0] ?? "").matchAll(/(\d+)m([\d.]+)s/g)]
      .map(([, minutes, seconds]) => 100 * (60 * Number(minutes) + Number(seconds)));
    const noted = [...stderr.matchAll(/^note thread \d+ \d+ (\d+) a\) b \(c$/gm)]
      .map(([, ticks]) => Number(ticks));
    assert.equal(times.length, 2, stderr);
    assert.ok((times[1] as number) > 10, `the kernel's are ${times[1]} ticks`);
    assert.ok(Math.abs(sum(noted) - sum(times)) < 6, `${noted} ticks, and not ${times}`);
  });

  it("a command's section is its path, or what there is room for of its name", () => {
    const name = (command: string) => /^whole (.*)$/m.exec(notesOf(command).stderr)?.[1];
    assert.equal(name("/bin/true"), "/bin/true");
    assert.equal(name(`/${"a".repeat(126)}`), `/${"a".repeat(126)}`);
    assert.equal(name(`/${"a".repeat(126)}/true`), "true");
    assert.equal(name(`/${"n".repeat(126)}\u20ac`), "n".repeat(126));
  });
});

/** The unit tests of the counter. */
const UNIT_TESTS = ["caches_test", "counts_test", "plugin_test"] as const;

/** Builds the counter, or some of its unit tests, from sources with a fault in them. */
function build(fault: SeededFault, product: typeof UNIT_TESTS[number] | "counter.so"): string {
  const native = checkoutFile("native/counter");
  const text = readFileSync(join(native, fault.file), "utf8");
  assert.equal(text.split(fault.find).length, 2, `${fault.file}: "${fault.find}"`);
  const copy = mkdtempSync(join(folder, "fault-"));
  const sources = ["caches", "counts"].map((name) => `${name}.c`);
  const own = [
    ...sources,
    ...(product === "counter.so" || product === "plugin_test" ? ["counter.c"] : []),
    ...(product === "counter.so" ? [] : [`tests/${product}.c`]),
  ];
  writeFileSync(join(copy, fault.file), text.replace(fault.find, () => fault.replace));
  const paths = own.map((file) => join(file === fault.file ? copy : native, file));
  const output = join(copy, product);
  const shared = product === "counter.so" ? ["-shared", "-fPIC", "-fvisibility=hidden"] : [];
  const { status, stderr } = spawnSync("gcc", [
    ...["-std=gnu11", "-O1", "-D_GNU_SOURCE", `-I${native}`, ...shared, ...paths],
    ...["-o", output, "-lpthread"],
  ], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return output;
}

describe("seeded faults of the counter", () => {
  for (const fault of FAULTS) {
    const skip = fault.inGuest &&
      inExtent<string | false>("a boot each: scripts/test --full", false);
    it(`are found: ${fault.name}`, { skip }, () => {
      if (fault.inGuest) {
        const plugin = build(fault, "counter.so");
        assert.notDeepEqual(wrongIn(countPatterns([], plugin)), []);
        return;
      }
      const isFound = UNIT_TESTS.some((test) => {
        const { status, signal } = spawnSync(build(fault, test), { timeout: 60_000 });
        return status !== 0 || signal !== null;
      });
      assert.ok(isFound, "the unit tests pass with it");
    });
  }
});
