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
  ...["ShardedMap, each key on its home", "ReplicatedMap"],
  ...["Cache with a part on each node", "Channel, 32 at once"],
  ...["TaskPool, near", "TaskPool without near"],
];

const fetched = ({ l3, domain, node, farCache, memory, farMemory }: Counts): number =>
  l3 + domain + node + farCache + memory + farMemory;

describe("lines between four nodes", () => {
  let counted: Counted;
  let told: readonly SectionLine[];

  before(() => {
    // Four times what it takes beside other suites.
    const limit = ["--timeout", "900"];
    const shape = ["--nodes", "4", "--cpus", "2", "--memory", "1G"];
    const run = countLines([...shape, ...limit], ["bun", "bench/lines/guest.ts", ...WANTED]);
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

  /** The share of the lines that were fetched which came from the thread's own node: at least so many for an operation. */
  function nearShare(words: string, least = 1): number {
    const { counts, operations } = find(words);
    const isEnough = fetched(counts) >= least * operations;
    assert.ok(isEnough, `${words}: ${fetched(counts)} lines were fetched`);
    return 1 - far(counts) / fetched(counts);
  }

  it("an arena is read from its own node, and one elsewhere is not", () => {
    assert.ok(nearShare("Arena on its node") >= 0.98);
    assert.ok(nearShare("Arena.local()") >= 0.98);
    assert.ok(nearShare("Arena on the first node") <= 0.02);
  });

  it("a Replicated is read from its own node, and one copy is not", () => {
    assert.ok(nearShare("all nodes read: Replicated") >= 0.99);
    assert.ok(nearShare("one copy that the main thread filled") <= 0.27);
  });

  it("an add to a PartitionedCounter fetches no line, and one to a shared word does", () => {
    const ours = find("PartitionedCounter");
    // Each thread fetches its shard once; and again if the kernel moves the page.
    const lines = far(ours.counts);
    assert.ok(lines <= ours.operations / 100, `${lines} lines of ${ours.operations}`);
    const word = find("one word and Atomics.add");
    // How often the word moves depends on how often the emulated CPUs take turns.
    assert.ok(far(word.counts) > far(ours.counts), `${far(word.counts)} lines`);
  });

  it("a key is read from its own node, in a ShardedMap, a ReplicatedMap and a Cache", () => {
    // A line has several entries.
    assert.ok(nearShare("ShardedMap, each key on its home", 0.1) >= 0.95);
    assert.ok(nearShare("ReplicatedMap", 0.1) >= 0.99);
    assert.ok(nearShare("Cache with a part on each node, each key on its home") >= 0.95);
  });

  it("a task near a node reads from that node, and one without near reads from others", () => {
    assert.ok(nearShare("TaskPool, near", 0.9) >= 0.95);
    assert.ok(nearShare("TaskPool without near", 0.9) <= 0.6);
  });

  it("a message of 60 bytes crosses nodes in hardly more than one line", () => {
    const { counts, operations } = find("Channel, 32 at once");
    assert.ok(far(counts) <= 1.2 * operations, `${far(counts)} lines of ${operations}`);
    // What is sent crosses nodes, or this counts nothing.
    assert.ok(far(counts) >= operations / 2, `${far(counts)} lines of ${operations}`);
  });

  it("a Mutex crosses nodes at most a third as often as an McsLock", () => {
    const mutex = far(find("Mutex").counts);
    const mcs = far(find("McsLock").counts);
    assert.ok(mutex <= mcs / 3, `${mutex} and ${mcs} lines`);
    // What is handed on crosses nodes, or this counts nothing.
    assert.ok(mcs > find("McsLock").operations, `${mcs} lines`);
  });
});
