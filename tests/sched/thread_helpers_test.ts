import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CpuSet, launch, Policy, topology, unpinned } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { runModule, sibling } from "../support/checkout.ts";

const cpu = topology().allowedCpus.last as number;

describe("a runtime's shared threads", () => {
  it("are not pinned with the first thread that is, whatever it uses first", () => {
    for (let round = 0; round < 3; round++) {
      const ran = runModule(sibling(import.meta.url, "../modules/helpers"));
      assert.equal(ran.status, 0, ran.stderr);
      const { home, count, elsewhere } = JSON.parse(ran.stdout);
      assert.equal(home, threadAffinity().toString());
      assert.ok(count > 2, ran.stdout);
      assert.deepEqual(elsewhere, []);
    }
  });
});

describe("what a pinned thread starts", () => {
  it("is pinned like it, or not with unpinned(), or as it was launched", async () => {
    const home = threadAffinity().toString();
    const thread = launch<Record<string, string>>(sibling(import.meta.url, "../workers/helpers"), {
      policy: Policy.bindCpus(CpuSet.of(cpu)),
      args: "spawn",
    });
    const told = await thread.join();
    assert.deepEqual(told, {
      inherits: String(cpu),
      sync: home,
      async: home,
      thrown: "RangeError: out of the call",
      nested: home,
      placed: String(cpu),
      after: String(cpu),
    });
  });

  it("is what it is in a thread that is not pinned", () => {
    assert.equal(unpinned(() => threadAffinity().toString()), threadAffinity().toString());
    assert.throws(() =>
      unpinned(() => {
        throw new RangeError("out of the call");
      }), { name: "RangeError" });
  });
});
