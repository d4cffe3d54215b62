import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { joinAll, launch, plan, Policy, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";

const basic = sibling(import.meta.url, "../workers/basic");
const args = { task: "where" };

describe("launch with a policy that is a text", () => {
  afterEach(async () => {
    await joinAll();
  });

  it("places the thread as the policy would", async () => {
    const cpu = `${topology().allowedCpus.last}`;
    const thread = launch<{ affinity: string }>(basic, { policy: cpu, args });
    assert.deepEqual(thread.placement, plan(topology(), Policy.bindCpus(cpu), 1)[0]);
    assert.equal((await thread.join()).affinity, cpu);
  });

  it("counts its threads with those of the policy", () => {
    const places = plan(topology(), Policy.perCore(), 2);
    const threads = [" core", Policy.perCore()].map((policy) => launch(basic, { policy, args }));
    assert.deepEqual(threads.map(({ placement }) => placement), places);
  });

  it("gives cores of its own to as many threads as there are cores for", async () => {
    const room = (function count(threads: number): number {
      try {
        plan(topology(), "exclusive", threads + 1);
        return count(threads + 1);
      } catch {
        return threads;
      }
    })(0);
    const threads = Array.from({ length: Math.min(room, 2) }, () => {
      return launch(basic, { policy: "exclusive", args });
    });
    const given = threads.flatMap(({ placement }) => [...placement.cpus]);
    assert.equal(new Set(given).size, given.length);
    throwsCode(
      () => launch(basic, { policy: "exclusive", place: room, args }),
      room === 0 ? "ENODEV" : "EAGAIN",
      /whole cores?/,
    );
    await joinAll();
  });

  it("says what is wrong with it", () => {
    throwsCode(() => launch(basic, { policy: "teapot", args }), "EINVAL", /"teapot".*Write a kind/);
    throwsCode(() => launch(basic, { policy: "node:1023", args }), "ENODEV", /node:1023/);
    throwsCode(() => launch(basic, { policy: "near:eth99", args }), "ENODEV", /near:eth99/);
  });
});
