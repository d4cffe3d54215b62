import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { NodeArray, Policy } from "../../mod.ts";
import { forEachPartition, forkJoin, parallelFor, reduce } from "../../lib/tasks/mod.ts";
import { LoopCrew } from "../support/loop_crew.ts";
import { sharedWords } from "../support/words.ts";

const NODES = [0, 1, 2, 3];

describe("loops on a machine with four nodes", () => {
  // A worker on each node, for all tests: a thread takes many seconds to start here.
  let crew: LoopCrew;
  before(async () => crew = await LoopCrew.start(4, { policy: Policy.scatter() }));
  after(() => crew[Symbol.asyncDispose]());

  it("call the function for each part of an array on its node", async () => {
    using array = NodeArray.create({ type: "float64", length: 100_000, nodes: [...NODES, 4] });
    const nodes = await forEachPartition(crew, array, "nodeOfPart");
    assert.deepEqual(nodes.slice(0, 4), NODES);
    // Node 4 has no CPUs: the nearest that are free.
    assert.ok(NODES.includes(nodes[4] as number));
  });

  it("run chunks where their elements are", async () => {
    for (const layout of ["blocked", "cyclic"] as const) {
      // Long enough that it matters little which worker begins last.
      using array = NodeArray.create({ type: "float64", length: 800_000, nodes: NODES, layout });
      array.fill(1);
      const counts = sharedWords(2);
      await parallelFor(crew, array.length, "atHome", { near: array, args: [array, counts] });
      const [home = 0, away = 0] = counts;
      assert.equal(home + away, array.length);
      // Emulated CPUs are not equally fast: those that are done early help others.
      assert.ok(home >= array.length / 2, `${home} at home, ${away} away`);
      const sum = await reduce(crew, array.length, "sumOf", {
        ...{ near: array, args: [array], initial: 0 },
        combine: (a: number, b: number) => a + b,
      });
      assert.equal(sum, array.length);
    }
  });

  it("finish when all of the work is on one node", async () => {
    const counts = sharedWords(10_000);
    await parallelFor(crew, counts.length, "tally", { near: 3, args: [counts] });
    assert.ok(counts.every((times) => times === 1));
    assert.equal(await forkJoin(crew, "fib", [15]), 610);
  });
});
