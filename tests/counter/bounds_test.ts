import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import type { SectionLine } from "../../bench/lines/guest.ts";
import { countLines } from "../../scripts/lib/count_lines.ts";
import { type Counted, type Counts, far } from "../../scripts/lib/counts.ts";

// What numakit promises of lines between nodes: a few rows of `scripts/bench lines`, with bounds that a wrong placement
// breaks.

const WANTED = [
  ...["reading", "a table", "add to: "],
  ...["8 threads write four lines: Mutex", "8 threads write four lines: McsLock"],
];

const fetched = ({ l3, domain, node, farCache, memory, farMemory }: Counts): number =>
  l3 + domain + node + farCache + memory + farMemory;

describe("lines between four nodes", () => {
  let counted: Counted;
  let told: readonly SectionLine[];

  before(() => {
    const shape = ["--nodes", "4", "--cpus", "2", "--memory", "1G"];
    const run = countLines(shape, ["bun", "bench/lines/guest.ts", ...WANTED]);
    counted = run.counted;
    told = run.stdout.trim().split("\n").map((text) => JSON.parse(text) as SectionLine);
  });

  /** What accesses to the named memory of a section came to. */
  function find(words: string): { counts: Counts; operations: number } {
    const [line, ...others] = told.filter(({ scene, variant }) =>
      `${scene}: ${variant}`.includes(words)
    );
    assert.ok(line !== undefined && others.length === 0, `"${words}" is one section`);
    const counts = counted.sum(line.section, (range) => range.startsWith(`${line.section}: `));
    return { counts, operations: line.operations };
  }

  /** The share of the lines that were fetched which came from the thread's own node. */
  function nearShare(words: string): number {
    const { counts, operations } = find(words);
    assert.ok(fetched(counts) >= operations, `${words}: ${fetched(counts)} lines were fetched`);
    return 1 - far(counts) / fetched(counts);
  }

  it("an arena is read from its own node, and one elsewhere is not", () => {
    assert.ok(nearShare("Arena on its node") >= 0.98);
    assert.ok(nearShare("Arena.local()") >= 0.98);
    assert.ok(nearShare("Arena on the first node") <= 0.02);
  });

  it("a Replicated is read from its own node, and one copy is not", () => {
    assert.ok(nearShare("Replicated") >= 0.99);
    assert.ok(nearShare("one copy that the main thread filled") <= 0.27);
  });

  it("an add to a PartitionedCounter fetches no line, and one to a shared word does", () => {
    const ours = find("PartitionedCounter");
    // Each thread fetches its shard once; and again if the kernel moves the page.
    const lines = far(ours.counts);
    assert.ok(lines <= ours.operations / 100, `${lines} lines of ${ours.operations}`);
    const word = find("one word and Atomics.add");
    assert.ok(far(word.counts) > 10 * far(ours.counts), `${far(word.counts)} lines`);
  });

  it("a Mutex crosses nodes at most a third as often as an McsLock", () => {
    const mutex = far(find("Mutex").counts);
    const mcs = far(find("McsLock").counts);
    assert.ok(mutex <= mcs / 3, `${mutex} and ${mcs} lines`);
    // What is handed on crosses nodes, or this counts nothing.
    assert.ok(mcs > find("McsLock").operations, `${mcs} lines`);
  });
});
