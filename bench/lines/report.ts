/**
 * Tables of what was counted: for the terminal, and for the documents.
 */
import { section } from "../../lib/cli/topo.ts";
import { type Counts, far } from "../../scripts/lib/counts.ts";
import type { SectionLine } from "./guest.ts";
import { MACHINES, modelled_ns } from "./machines.ts";
import type { Origin } from "./origin.ts";

/** What one way of a scene came to. */
export interface LinesRow extends Pick<SectionLine, "scene" | "operation" | "variant" | "ours"> {
  readonly guest: string;
  readonly runtime: string;
  /** For an operation; of several counts the median by lines from other nodes. */
  readonly counts: Counts;
  /** Its lines from other nodes, by what they were of. */
  readonly parts: Readonly<Record<string, number>>;
  /** Lines from other nodes for an operation: the fewest that were counted, and the most. */
  readonly fewest: number;
  readonly most: number;
}

/** All that was counted in one go. */
export interface Evidence {
  readonly origin: Origin;
  readonly rows: readonly LinesRow[];
}

/** Counts for an operation, to a ten-thousandth. */
export function perOperation(counts: Counts, operations: number): Counts {
  return Object.fromEntries(
    Object.entries(counts).map(([name, count]) => [
      name,
      Math.round(count / operations * 10_000) / 10_000,
    ]),
  ) as unknown as Counts;
}

/** An operation without its article. */
export const bare = (operation: string): string => operation.replace(/^an? /, "");

const near = ({ memory, node, domain, l3 }: Counts): number => memory + node + domain + l3;

const RUNTIMES: Readonly<Record<string, string>> = { bun: "Bun", deno: "Deno", node: "Node" };
const NAMES: readonly string[] = [
  "lines from other nodes",
  "range",
  "lines from this node",
  "remote invalidations",
];

function cells({ counts, fewest, most }: LinesRow): string[] {
  return [
    far(counts).toFixed(3),
    `${fewest.toFixed(3)} to ${most.toFixed(3)}`,
    near(counts).toFixed(3),
    counts.farInvalidations.toFixed(3),
  ];
}

/** Rows of the same scene in the same guest, in the order of the first of each. */
function groups(rows: readonly LinesRow[]): LinesRow[][] {
  return [...Map.groupBy(rows, ({ scene, guest }) => `${scene}, ${guest}`).values()];
}

/** Tables for a terminal. */
export function printed(rows: readonly LinesRow[]): string {
  return groups(rows).map((group) => {
    const [{ scene, operation, guest }] = group as [LinesRow];
    return section(
      `${scene} (${guest}): for ${operation}`,
      ["", "", ...NAMES],
      group.map((row) => [
        row.ours ? row.variant : `(${row.variant})`,
        RUNTIMES[row.runtime] as string,
        ...cells(row),
      ]),
    );
  }).join("\n") + "\n";
}

/** A table whose first columns are texts, and the others numbers. */
function markdown(
  head: readonly string[],
  body: readonly (readonly string[])[],
  texts: number,
): string {
  const line = (parts: readonly string[]) => `| ${parts.join(" | ")} |`;
  const rule = head.map((_, index) => index < texts ? "---" : "---:");
  return [line(head), line(rule), ...body.map(line)].join("\n");
}

const shown = ({ ours, variant }: LinesRow): string => ours ? variant : `_${variant}_`;

/** Of a lock's lines, those of its own words and those that it guards. */
function lockCells({ parts }: LinesRow): string[] {
  const { lock, guarded } = parts;
  return lock === undefined || guarded === undefined ? [] : [lock.toFixed(3), guarded.toFixed(3)];
}

/** What was counted, a table a scene. */
export function countedTables({ rows }: Evidence): string {
  return groups(rows).map((group) => {
    const [first] = group as [LinesRow];
    const { scene, operation, guest } = first;
    const head = ["way", "runtime", ...NAMES];
    if (lockCells(first).length > 0) head.push("of the lock", "of the four lines");
    const body = group.map((row) => [
      ...[shown(row), RUNTIMES[row.runtime] as string],
      ...[...cells(row), ...lockCells(row)],
    ]);
    return `### ${scene[0]?.toUpperCase()}${scene.slice(1)}\n\n` +
      `${guest}; per ${bare(operation)}.\n\n${markdown(head, body, 2)}`;
  }).join("\n\n");
}

/** What counted it. */
export function originLine({ origin }: Evidence): string {
  return `Counted on ${origin.date} at commit ${origin.commit}, by QEMU ${origin.qemu} with ${origin.runtimes}, ` +
    `on ${origin.host}.`;
}

/** What Bun's rows would take on real machines, in one table: but for locks, whose waiters fetch lines side by side. */
export function modelledTable({ rows }: Evidence): string {
  const some = rows.filter(({ runtime, scene }) =>
    runtime === "bun" && !scene.startsWith("a lock")
  );
  const body = groups(some).flatMap((group) => {
    const [{ scene, operation, guest }] = group as [LinesRow];
    return [
      [`**${scene}** (${guest}): ${operation}`, ...MACHINES.map(() => "")],
      ...group.map((row) => [
        shown(row),
        ...MACHINES.map((machine) => modelled_ns(machine, row.counts)?.toFixed(1) ?? "–"),
      ]),
    ];
  });
  return markdown(["modelled, in ns", ...MACHINES.map(({ name }) => name)], body, 1);
}

/** Where the machines' latencies are from. */
export function sourcesTable(): string {
  const number = (value: number | undefined) => value === undefined ? "–" : value.toFixed(0);
  return markdown(
    ["", "source", "own domain", "own node", "other node's cache", "own memory", "other memory"],
    MACHINES.map(({ name, latencies, source }) => [
      ...[name, source],
      ...[latencies.domain, latencies.node, latencies.farCache].map(number),
      ...[latencies.memory?.[0], latencies.memory?.[1]].map(number),
    ]),
    2,
  );
}

/** What the README shows: a few rows, ours beside what a user would write. */
const FIRST_SCREEN: readonly (readonly [scene: string, ours: string, other: string])[] = [
  ["reading", "Arena on its node", "Float64Array that the main thread filled"],
  [
    "an array",
    "NodeArray, blocked, each its partitions()",
    "Float64Array that the main thread filled",
  ],
  ["a table", "Replicated", "one copy that the main thread filled"],
  ["a counter that 8", "PartitionedCounter", "one word and Atomics.add"],
];

/** A few lines; what is not none does not look like it. */
const few = (lines: number): string => lines > 0 && lines < 0.001 ? "< 0.001" : lines.toFixed(3);

/** The README's table. */
export function firstScreen({ rows }: Evidence): string {
  const find = (scene: string, variant: string): LinesRow => {
    const row = rows.find((row) =>
      row.runtime === "bun" && row.scene.startsWith(scene) && row.variant === variant
    );
    if (row === undefined) throw new Error(`there is no row "${scene}: ${variant}"`);
    return row;
  };
  const body = FIRST_SCREEN.map(([scene, ours, other]) => {
    const mine = find(scene, ours);
    const theirs = find(scene, other);
    return [
      `${mine.scene}: ${mine.operation} (${mine.guest})`,
      other,
      few(far(theirs.counts)),
      ours,
      `**${few(far(mine.counts))}**`,
    ];
  });
  return markdown(["", "without numakit", "lines", "with numakit", "lines"], body, 1);
}
