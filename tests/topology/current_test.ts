import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { CpuSet, currentCpu, currentNode, topology } from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";

describe("currentCpu and currentNode", () => {
  it("follow the thread when it is pinned elsewhere, also in compiled code", () => {
    const before = threadAffinity();
    try {
      for (const cpu of [...before, ...before]) {
        pinThread(CpuSet.of(cpu));
        for (let round = 0; round < 20_000; round++) {
          if (currentCpu() !== cpu) {
            assert.fail(`on ${currentCpu()}, not ${cpu}, in round ${round}`);
          }
        }
        assert.equal(currentNode(), topology().nodeOfCpu(cpu));
      }
    } finally {
      pinThread(before);
    }
  });

  it("is pinned exactly or not at all", () => {
    const before = threadAffinity();
    throwsCode(() => pinThread(before.union(CpuSet.of(65535))), "EACCES");
    throwsCode(() => pinThread(CpuSet.empty), "EINVAL");
    assert.equal(threadAffinity().toString(), before.toString());
  });
});
