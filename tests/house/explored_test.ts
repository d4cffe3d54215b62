import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { filesIn, textOf } from "../support/sources.ts";

const SPECS = "tests/explorer/specs";
/** Seeded bugs that several specs have to find. */
const MUTANTS = "tests/explorer/queue_mutants.ts";

/** Files that use atomics and that the explorer does not run: why not. */
const UNEXPLORED: Readonly<Record<string, string>> = {
  "lib/memory/arena/arena.ts":
    "who allocates is one compare-exchange on one word; the rest of the header is that thread's alone",
  "lib/cli/output.ts": "sleeps on a word of its own, until a full pipe has room",
  "lib/memory/mapping/mapping.ts": "looks at an arena's bump pointer, for reports",
  "lib/runtime/library/cached_library.ts":
    "a worker that fetches a file says once that it is there",
  "lib/sched/move/mover.ts": "counts the moves of a thread in a word that nobody else writes",
  "lib/sched/move/obey.ts": "looks once at that word, whether a move is the last one",
  "lib/shared/region.ts": "memory is taken by one compare-exchange, and announced by one store",
  "lib/structs/placed/tenure.ts":
    "an owner's word is taken by one compare-exchange; requests and replies go through channels",
  "lib/sync/locks/shared_mutex.ts":
    "taking and giving back are the C helper's and the kernel's (robust futexes), which native/tests run",
  "lib/topology/current.ts": "reads words that the kernel writes, one at a time",
  "lib/wait/loads.ts":
    "for the explorer these are loads; tests/wait/loads_test.ts has litmus tests",
  "lib/wait/parking_lot.ts": "Atomics.wait and notify themselves: slots_core.ts is the algorithm",
  "lib/wait/thread_waiter.ts": "Atomics.pause only",
  "lib/shared/members.ts":
    "the kernel marks its words when a thread ends, which no machine of the explorer does; " +
    "tests/structs/map_processes_test.ts kills processes",
};

/** Whether code, and not only comments, names Atomics. */
function usesAtomics(file: string): boolean {
  return textOf(file).split("\n").some((line) =>
    /\bAtomics\b/.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)
  );
}

const specs = [...filesIn(SPECS, ".ts"), MUTANTS].map(textOf).join("\n");
/** Whether a spec has mutants of a file. */
const isExplored = (file: string): boolean => specs.includes(`"${file}"`);

describe("code that uses atomics", () => {
  const files = filesIn("lib", ".ts").filter(usesAtomics);

  it("was looked for", () => {
    assert.ok(files.length > 20 && files.some(isExplored), `${files.length} files`);
  });

  it("has a spec that the explorer runs, or a reason why not", () => {
    const forgotten = files.filter((file) => !isExplored(file) && UNEXPLORED[file] === undefined);
    assert.deepEqual(forgotten, [], `write a spec in ${SPECS}/, or a reason here`);
  });

  it("has no reason that holds no more", () => {
    const stale = Object.keys(UNEXPLORED).filter((file) =>
      !files.includes(file) || isExplored(file)
    );
    assert.deepEqual(stale, []);
  });
});
