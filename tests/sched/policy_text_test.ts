import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { plan } from "../../lib/sched/policies/plan.ts";
import { Policy } from "../../lib/sched/policies/policy.ts";
import type { Topology } from "../../lib/topology/topology.ts";
import { throwsCode } from "../support/errors.ts";
import { machine, machines } from "../support/machines.ts";

function named(name: string): Topology {
  return machine(machines[name]!);
}

describe("Policy.parse", () => {
  const texts: readonly (readonly [text: string, policy: Policy, canonical?: string])[] = [
    ["node:0", Policy.bindNode(0)],
    ["0-7,16", Policy.bindCpus("0-7,16")],
    [" 16, 0-7 ", Policy.bindCpus("0-7,16"), "0-7,16"],
    ["0-31:2/8", Policy.bindCpus("0-1,8-9,16-17,24-25"), "0-1,8-9,16-17,24-25"],
    ["l3:2,3", Policy.from({ kind: "bindPlaces", place: "l3", ids: "2-3" }), "l3:2-3"],
    ["core:3", Policy.from({ kind: "bindPlaces", place: "core", ids: "3" })],
    ["node:0-1", Policy.from({ kind: "bindPlaces", place: "node", ids: "0-1" })],
    ["package:1:4", Policy.from({ kind: "bindPlaces", place: "package", ids: "1", cores: 4 })],
    ["node:0:4", Policy.from({ kind: "bindPlaces", place: "node", ids: "0", cores: 4 })],
    ["socket:1:4", Policy.parse("package:1:4"), "package:1:4"],
    ["core-complex:0", Policy.parse("l3:0"), "l3:0"],
    ["compact", Policy.compact()],
    ["scatter", Policy.scatter()],
    ["unbound", Policy.unbound()],
    ["core", Policy.perCore()],
    ["node", Policy.perNode()],
    ["socket", Policy.perPackage(), "package"],
    ["core-complex", Policy.perDomain(), "l3"],
    ["exclusive", Policy.exclusive()],
    ["exclusive:1", Policy.exclusive(), "exclusive"],
    ["exclusive:4", Policy.exclusive(4)],
    ["near:eth0", Policy.near("eth0")],
    ["near:0000:98:00.0", Policy.near("0000:98:00.0")],
  ];
  for (const [text, policy, canonical = text] of texts) {
    it(`reads "${text}", and writes it as "${canonical}"`, () => {
      assert.deepEqual(Policy.parse(text), policy);
      assert.deepEqual(Policy.from(text), policy);
      assert.equal(String(policy), canonical);
      assert.deepEqual(Policy.parse(String(policy)), policy);
      assert.deepEqual(Policy.from(JSON.parse(JSON.stringify(policy))), policy);
    });
  }

  it("says what can be written where it cannot read", () => {
    const wrong: readonly (readonly [text: string, why: RegExp])[] = [
      ["", /it is empty\. Write a kind of place \("package"/],
      ["   ", /it is empty/],
      ["drawer:1", /no policy and no kind of place "drawer"/],
      ["constructor", /no policy and no kind of place "constructor"/],
      ["Node:0", /"Node"/],
      ["node:", /"" is no list of ids/],
      ["node:x", /"x" is no list of ids/],
      ["node:0-6:1/2", /"1\/2" is no number of cores/],
      ["node:0:0", /"0" is no number of cores/],
      ["node:0:-1", /"-1" is no number of cores/],
      ["node:0:1:2", /more than a kind, ids and a number of cores/],
      ["l3:0:", /"" is no number of cores/],
      ["core:0:1", /a core has no cores to count/],
      ["scatter:1", /nothing can follow "scatter"/],
      ["exclusive:0", /"0" is no number of cores/],
      ["exclusive:x", /"x" is no number of cores/],
      ["exclusive:1:2", /nothing can follow/],
      ["near", /no policy and no kind of place "near"/],
      ["near:", /the device is ""/],
      ["near:a b", /the device is "a b"/],
      ["0-", /neither a number nor a range/],
      ["0-70000", /out of range/],
      ["node:5-2", /out of range/],
    ];
    for (const [text, why] of wrong) throwsCode(() => Policy.parse(text), "EINVAL", why);
    for (const value of [undefined, null, 7, {}, Policy.compact(), Symbol("x")]) {
      throwsCode(() => Policy.parse(value as string), "EINVAL", /read a thread policy/);
    }
  });
});

describe("places in a text", () => {
  const cpus = (name: string, text: string): string => {
    const [first, second] = plan(named(name), text, 2);
    assert.deepEqual(first, second);
    return `${first!.cpus} of ${first!.node}`;
  };

  it("are all allowed CPUs of what is named", () => {
    assert.equal(cpus("EPYC NPS4", "l3:2,3"), "16-31,144-159 of 1");
    assert.equal(cpus("EPYC NPS4", "l3:1-2"), "8-23,136-151 of undefined");
    assert.equal(cpus("EPYC NPS4", "package:1"), "64-127,192-255 of undefined");
    assert.equal(cpus("EPYC NPS4", "core:3"), "3,131 of 0");
    assert.equal(cpus("EPYC NPS4", "node:0,7"), "0-15,112-143,240-255 of undefined");
    assert.equal(cpus("cpuset of half of one node", "package:0"), "0-7 of 0");
    assert.equal(cpus("VM without caches or cores", "l3:0:2"), "0-1 of 0");
  });

  it("are those of the first cores when a number follows", () => {
    assert.equal(cpus("two-socket Xeon", "package:1:4"), "16-19,48-51 of 1");
    assert.equal(cpus("two-socket Xeon, adjacent numbering", "package:1:4"), "32-39 of 1");
    assert.equal(cpus("two-socket Xeon", "node:0,1:1"), "0,16,32,48 of undefined");
    assert.equal(cpus("cpuset of half of one node", "package:1:2"), "16-17 of 1");
  });

  it("are refused when they are not there", () => {
    const xeon = named("two-socket Xeon");
    const refuses = (text: string, code: "ENODEV" | "EACCES", why: RegExp, on = xeon): void =>
      throwsCode(() => plan(on, text, 1), code, why);
    refuses("l3:2", "ENODEV", /no L3 domain 2: this machine has L3 domains 0-1\. Choose one/);
    refuses("core:32", "ENODEV", /no core 32: this machine has cores 0-31/);
    refuses("package:0-9", "ENODEV", /no package 2/);
    refuses("node:0,9", "ENODEV", /no node 9/);
    refuses("package:0:17", "ENODEV", /package 0 has 16 cores that this process may use/);
    refuses("node:2,0", "ENODEV", /node 2 has no CPUs/, named("CXL expander"));
    refuses("package:0", "ENODEV", /no packages described/, named("VM without caches or cores"));
    refuses("l3:1", "EACCES", /none of the CPUs .* of L3 domain 1/, named("cpuset of one node"));
  });
});
