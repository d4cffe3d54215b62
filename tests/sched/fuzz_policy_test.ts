import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { inExtent } from "../support/extent.ts";
import { NumaError } from "../../lib/base/error.ts";
import { explain } from "../../lib/sched/policies/explain.ts";
import { plan } from "../../lib/sched/policies/plan.ts";
import { Policy, type PolicyDescription } from "../../lib/sched/policies/policy.ts";
import type { Topology } from "../../lib/topology/topology.ts";
import { machine, machines } from "../support/machines.ts";

const RUNS = inExtent(400, 5000);

/** What fails does so with a NumaError of one of these codes. */
function attempt<T>(call: () => T, codes: readonly string[]): T | undefined {
  try {
    return call();
  } catch (error) {
    assert.ok(error instanceof NumaError, String(error));
    assert.ok(codes.includes(error.code), error.message);
    assert.match(error.message, /^Cannot .+: .+\./s);
    return undefined;
  }
}

/** A policy comes back from its text and from its JSON. */
function checkTrips(policy: Policy): void {
  assert.deepEqual(Policy.parse(String(policy)), policy);
  assert.deepEqual(Policy.from(JSON.parse(JSON.stringify(policy))), policy);
}

const machineNames = Object.keys(machines).filter((name) => name !== "4096 CPUs");
const topologies: fc.Arbitrary<Topology> = fc.constantFrom(...machineNames)
  .map((name) => machine(machines[name]!));

const words = fc.constantFrom(
  ...["node", "l3", "core", "package", "socket", "core-complex", "exclusive", "near", "compact"],
  ...["scatter", "unbound", "eth0", "nvme1n1", "", " ", "constructor", "__proto__", "toString"],
);
const marks = fc.constantFrom(":", ",", "-", "/", "(", ")", "\n", "\0", "é", "0-", ":0", "65536");
const texts: fc.Arbitrary<string> = fc.array(
  fc.oneof(words, marks, fc.nat(99).map(String), fc.string({ maxLength: 3 })),
  { maxLength: 6 },
).map((parts) => parts.join(""));

const values: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    -0,
    NaN,
    Infinity,
    0.5,
    -1,
    0,
    1,
    2,
    7,
    65_536,
    2 ** 53,
    null,
    undefined,
  ),
  fc.constantFrom<unknown>(
    1n,
    true,
    "0",
    "0-1",
    "l3",
    "node",
    "eth0",
    Symbol("x"),
    [],
    {},
    () => 1,
  ),
  fc.anything({ maxDepth: 1 }),
  texts,
);

describe("policies", () => {
  it(`of random texts are read, or refused: ${RUNS}`, () => {
    fc.assert(
      fc.property(texts, topologies, fc.nat(40), (text, topology, count) => {
        const policy = attempt(() => Policy.parse(text), ["EINVAL"]);
        if (policy === undefined) return;
        checkTrips(policy);
        const codes = ["ENODEV", "EACCES", "EAGAIN"];
        const places = attempt(() => plan(topology, policy, count), codes);
        const told = attempt(() => explain(topology, text, count), codes);
        assert.deepEqual(told?.threads.map(({ placement }) => placement), places);
      }),
      { numRuns: RUNS },
    );
  });

  it(`of random data are read, or refused: ${RUNS}`, () => {
    const kinds = fc.constantFrom<unknown>(
      ...["bindNode", "bindCpus", "bindPlaces", "near", "exclusive", "compact", "perCore"],
    );
    const data = fc.oneof(
      values,
      fc.record({
        kind: fc.oneof(kinds, values),
        node: values,
        cpus: values,
        place: values,
        ids: values,
        cores: values,
        device: values,
      }, { requiredKeys: ["kind"] }),
    );
    fc.assert(
      fc.property(data, (value) => {
        const policy = attempt(() => Policy.from(value as PolicyDescription), ["EINVAL"]);
        if (policy !== undefined) checkTrips(policy);
      }),
      { numRuns: RUNS },
    );
  });

  it(`are made by each static method, or refused: ${RUNS}`, () => {
    const makers = Object.getOwnPropertyNames(Policy)
      .filter((name) => typeof Reflect.get(Policy, name) === "function");
    assert.ok(makers.includes("near") && makers.includes("exclusive") && makers.length > 10);
    fc.assert(
      fc.property(fc.constantFrom(...makers), fc.array(values, { maxLength: 2 }), (name, args) => {
        const make = Reflect.get(Policy, name) as (...args: unknown[]) => Policy;
        const policy = attempt(() => make.apply(Policy, args), ["EINVAL"]);
        if (policy !== undefined) checkTrips(policy);
      }),
      { numRuns: RUNS },
    );
  });

  it("refuse what they are planned with", () => {
    const desktop = machine(machines["desktop"]!);
    for (const call of [plan, explain]) {
      fc.assert(
        fc.property(values, values, values, (topology, policy, count) => {
          attempt(() => call(topology as Topology, "scatter", 1), ["EINVAL"]);
          attempt(() => call(desktop, policy as Policy, 1), ["EINVAL", "ENODEV", "EACCES"]);
          attempt(() => call(desktop, "scatter", count as number), ["EINVAL"]);
        }),
        { numRuns: 100 },
      );
    }
  });
});
