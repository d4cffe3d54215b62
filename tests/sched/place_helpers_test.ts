import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { CpuSet, launch, type PlacedHelpers, placeHelpers, Policy, topology } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { native } from "../../lib/runtime/native.ts";
import { onNode20, sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { type Where, WORD } from "../workers/movable.ts";

const all = topology().allowedCpus;
const one = CpuSet.of(all.first as number);
const other = CpuSet.of(all.last as number);

/** The CPUs of a thread of this process; undefined when it has ended. */
function cpusOf(tid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/self/task/${tid}/status`, "utf8");
    return /Cpus_allowed_list:\t(.*)/.exec(status)?.[1];
  } catch {
    return undefined;
  }
}

function checkPlaced({ cpus, threads }: PlacedHelpers): void {
  for (const { name, tid, result, error } of threads) {
    assert.ok(result === "ended" || error === undefined, `${error}`);
    assert.ok(native().helpers.names.some((begin) => name.startsWith(begin)), name);
    const now = cpusOf(tid);
    if (now !== undefined && result !== "ended") assert.equal(now, cpus.toString(), name);
  }
}

describe("placeHelpers", () => {
  it("puts the runtime's threads on CPUs, and back", () => {
    const placed = placeHelpers({ cpus: one });
    try {
      assert.equal(placed.cpus.toString(), one.toString());
      // Node 20 calls its threads as the process is called.
      if (!onNode20) assert.ok(placed.threads.length > 0, JSON.stringify(placed));
      checkPlaced(placed);
      assert.equal(threadAffinity().toString(), all.toString(), "but not this one");
      const again = placeHelpers({ policy: Policy.bindCpus(other) });
      checkPlaced(again);
      const moved = again.threads.filter(({ result }) => result === "moved");
      assert.equal(moved.length > 0, !onNode20 && all.size > 1);
    } finally {
      checkPlaced(placeHelpers({ cpus: all.toString() }));
    }
  });

  it("leaves threads alone that were launched, whatever their names", async () => {
    const words = sharedWords(4);
    const threads = native().helpers.names.slice(0, 2).map((name) =>
      launch<Where>(sibling(import.meta.url, "../workers/movable"), {
        ...{ name, policy: Policy.bindCpus(other), args: { task: "idle", words } },
      })
    );
    await reaches(words, WORD.runs, threads.length);
    const { threads: found } = placeHelpers({ cpus: one });
    try {
      const tids = found.map(({ tid }) => tid);
      for (const { tid } of threads) {
        assert.equal(tids.includes(tid as number), false);
        assert.equal(cpusOf(tid as number), other.toString());
      }
    } finally {
      placeHelpers({ cpus: all });
      Atomics.store(words, WORD.stop, 1);
    }
    for (const thread of threads) assert.equal((await thread.join()).affinity, other.toString());
  });

  it("finds those whose names it is given", () => {
    const { threads, missing } = placeHelpers({ cpus: all, names: ["nobody's name"] });
    assert.deepEqual([threads, missing], [[], ["nobody's name"]]);
    const { names } = native().helpers;
    const placed = placeHelpers({ cpus: all, names });
    for (const { name } of placed.threads) {
      assert.equal(placed.missing.some((begin) => name.startsWith(begin)), false);
    }
  });

  it("refuses what cannot be", () => {
    for (
      const options of [
        ...[undefined, null, 5, {}, { cpus: all, policy: Policy.compact() }, { what: 1 }],
        ...[{ cpus: all, names: [] }, { cpus: all, names: [""] }, { cpus: all, names: "x" }],
        ...[{ cpus: all, names: ["x".repeat(16)] }, { cpus: all, names: ["a\0b"] }],
        ...[{ cpus: 5 }, { cpus: "" }, { policy: 5 }, { cpus: all, names: [5] }],
      ]
    ) throwsCode(() => placeHelpers(options as never), "EINVAL");
    throwsCode(() => placeHelpers({ cpus: "60000" }), "ENODEV");
    throwsCode(() => placeHelpers({ policy: Policy.bindNode(63) }), "ENODEV");
  });
});
