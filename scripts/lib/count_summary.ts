/**
 * What `scripts/numa_vm --count` says in the end: which threads fetched lines from other nodes, and from which memory.
 */
import { section } from "../../lib/cli/topo.ts";
import { type Counted, type CountedPage, far } from "./counts.ts";

/** How many ranges of memory are named. */
const MAX_RANGES = 10;
/** Pages belong together when they are no further apart. */
const GAP_BYTES = 64 * 1024;
const PAGE_BYTES = 4096;
/** What is in no section that the program marks. */
const OUTSIDE = "(outside sections)";
/** No name is wider. */
const MAX_NAME = 60;

/** Memory in which lines came from other nodes. */
interface Range {
  readonly start: number;
  end: number;
  lines: number;
  readonly name: string;
  /** Whose memory it is. */
  readonly homes: Set<number>;
  /** The nodes that fetched them. */
  readonly readers: Set<number>;
}

interface Mapping {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/** The notes of `native/counter/counted.c`. */
function readNotes(notes: readonly string[]): {
  readonly threads: readonly { cpu: number; ticks: number; name: string }[];
  readonly mappings: readonly Mapping[];
} {
  const threads = [];
  const mappings = [];
  for (const note of notes) {
    const [, cpu, ticks, name] = /^thread \d+ (\d+) (\d+) (.*)$/.exec(note) ?? [];
    if (name !== undefined) threads.push({ cpu: Number(cpu), ticks: Number(ticks), name });
    const [, start, end, path] = /^memory ([0-9a-f]+)-([0-9a-f]+) (.*)$/.exec(note) ?? [];
    if (path === undefined) continue;
    mappings.push({
      start: parseInt(start as string, 16),
      end: parseInt(end as string, 16),
      name: path,
    });
  }
  return { threads, mappings };
}

/** A name as a terminal may see it. */
function shown(name: string): string {
  const text = name.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (letter) => `\\u{${(letter.codePointAt(0) as number).toString(16)}}`,
  );
  const letters = [...text];
  return letters.length > MAX_NAME ? `${letters.slice(0, MAX_NAME - 1).join("")}…` : text;
}

/** Pages that are close to each other and of the same mapping, most lines first. */
function rangesOf(
  pages: readonly CountedPage[],
  mappings: readonly Mapping[],
): Range[] {
  const ranges: Range[] = [];
  for (const page of pages.toSorted((a, b) => a.address - b.address)) {
    const start = page.address;
    const mapping = mappings.find((one) => start >= one.start && start < one.end);
    const name = mapping === undefined
      ? "another process, or freed"
      : shown(mapping.name) || "anonymous memory";
    let range = ranges.at(-1);
    if (range === undefined || range.name !== name || start - range.end > GAP_BYTES) {
      range = { start, end: start, lines: 0, name, homes: new Set(), readers: new Set() };
      ranges.push(range);
    }
    range.end = start + PAGE_BYTES;
    range.homes.add(page.node);
    for (const [node, lines] of page.lines.entries()) {
      range.lines += lines;
      if (lines > 0) range.readers.add(node);
    }
  }
  return ranges.sort((a, b) => b.lines - a.lines);
}

const percent = (part: number, whole: number): string =>
  whole === 0 ? "-" : `${(100 * part / whole).toFixed(1)} %`;

/** The threads of a CPU, those that used most of it first. */
function threadsOn(
  cpu: number,
  threads: readonly { cpu: number; ticks: number; name: string }[],
): string {
  const ticks = new Map<string, number>();
  for (const thread of threads) {
    if (thread.cpu === cpu) ticks.set(thread.name, (ticks.get(thread.name) ?? 0) + thread.ticks);
  }
  const sum = [...ticks.values()].reduce((all, one) => all + one, 0);
  return [...ticks].sort(([, a], [, b]) => b - a).slice(0, 3)
    .map(([name, one]) => `${shown(name)} ${percent(one, sum)}`).join(", ");
}

const number = (value: number): string => value.toLocaleString("en");
const listed = (nodes: ReadonlySet<number>): string => [...nodes].sort((a, b) => a - b).join(", ");

/** A program's own sections, and what is in none of them. */
function sectionTable(counted: Counted): string[] {
  const sections = counted.bySection();
  if (sections.length < 2) return [];
  const rows = sections.map(({ name, whole, counts }) => [
    // What the program calls so is told apart by its quotes.
    whole ? OUTSIDE : name === OUTSIDE ? `"${name}"` : shown(name),
    number(counts.loads + counts.stores),
    number(far(counts)),
  ]);
  return [section("Lines by section", ["section", "accesses", "from others"], rows)];
}

/** The memory that a program has named. */
function rangeTable(counted: Counted): string[] {
  const rows = counted.namedRanges.map(({ name, lines }) => {
    const counts = counted.all(undefined, (range) => range === name);
    return [shown(name), number(lines), number(counts.loads + counts.stores), number(far(counts))];
  });
  if (rows.length === 0) return [];
  return [section("Lines by range", ["range", "lines", "accesses", "from others"], rows)];
}

/**
 * Says what of the counts is not as the program will have meant it.
 *
 * @param counted What was counted.
 * @returns Sentences.
 */
export function countWarnings({ open, namedRanges }: Counted): string[] {
  const names = open.map((name) => `"${shown(name)}"`).join(", ");
  return [
    ...(open.length > 0
      ? [`sections that had not ended, and count as far as they came: ${names}`]
      : []),
    ...namedRanges.filter(({ named, distinct }) => named !== distinct).map((
      { name, named, distinct },
    ) =>
      `range "${shown(name)}": ${number(named)} lines were named, and ${
        number(distinct)
      } of them ` +
      "differ: write memory before you name it, or it is one page of zeros"
    ),
  ];
}

/**
 * Makes the summary.
 *
 * @param counted What was counted, of a command that `counted` ran.
 * @param nodeOf The node of a CPU.
 * @returns Lines of text.
 */
export function summarizeCounts(counted: Counted, nodeOf: (cpu: number) => number): string {
  const { threads, mappings } = readNotes(counted.notes);
  const rows = counted.cpus.map((cpu) => {
    const counts = counted.all([cpu]);
    const all = counts.loads + counts.stores;
    return [
      `${cpu}`,
      `${nodeOf(cpu)}`,
      number(all),
      percent(counts.own, all),
      number(counts.l3 + counts.domain + counts.node + counts.memory),
      number(far(counts)),
      threadsOn(cpu, threads),
    ];
  });
  const ranges = rangesOf(counted.pages, mappings);
  const hex = (address: number): string => address.toString(16);
  return [
    section(
      "Lines by CPU",
      [
        "CPU",
        "node",
        "accesses",
        "in its cache",
        "from its node",
        "from others",
        "threads seen there",
      ],
      rows,
    ),
    ...sectionTable(counted),
    ...rangeTable(counted),
    section(
      "Memory with most lines from other nodes",
      ["lines", "on node", "fetched by", "addresses", ""],
      ranges.slice(0, MAX_RANGES).map((range) => [
        number(range.lines),
        listed(range.homes),
        listed(range.readers),
        `${hex(range.start)}-${hex(range.end)}`,
        range.name,
      ]),
    ),
  ].join("\n");
}
