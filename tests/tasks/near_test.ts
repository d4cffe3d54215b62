import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { nodeNear } from "../../lib/tasks/places/near.ts";

describe("memory that tasks are near to", () => {
  it("is looked at again after a while, as it may have moved", () => {
    let now = 1000;
    let node = 3;
    let looks = 0;
    const look = (): { nodes: Map<number, number> } => {
      looks++;
      return { nodes: new Map([[0, 5], [node, 10]]) };
    };
    const memory = new SharedArrayBuffer(64);
    const near = (): number => nodeNear(memory, "run a task", look as never);
    const before = performance.now;
    performance.now = () => now;
    try {
      assert.equal(near(), 3);
      node = 7;
      now += 900;
      assert.deepEqual([near(), looks], [3, 1]);
      now += 200;
      assert.deepEqual([near(), looks], [7, 2]);
    } finally {
      performance.now = before;
    }
  });
});
