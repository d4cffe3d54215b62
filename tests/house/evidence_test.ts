import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Evidence, LinesRow } from "../../bench/lines/report.ts";
import { counts } from "../../scripts/lib/counts.ts";
import { onNode20 } from "../support/checkout.ts";
import { textOf } from "../support/sources.ts";

const skip = onNode20 && "Node 20 runs no TypeScript, and no benchmarks";

async function load() {
  const [{ documents, readEvidence }, { MACHINES, modelled_ns }, { perOperation }] = await Promise
    .all([
      import("../../bench/lines/documents.ts"),
      import("../../bench/lines/machines.ts"),
      import("../../bench/lines/report.ts"),
    ]);
  return { documents, readEvidence, MACHINES, modelled_ns, perOperation };
}

describe("the evidence", () => {
  it("is what its rows say, in the documents and in the chart", { skip }, async () => {
    const { documents, readEvidence } = await load();
    for (const [name, text] of await documents(readEvidence())) {
      assert.equal(textOf(name), text, `${name}: scripts/bench lines --docs writes it`);
    }
  });

  it("has at least 25 rows, of all runtimes, ours beside others", { skip }, async () => {
    const { readEvidence } = await load();
    const { rows } = readEvidence();
    assert.ok(rows.length >= 25, `${rows.length} rows`);
    assert.deepEqual(new Set(rows.map(({ runtime }) => runtime)), new Set(["bun", "deno", "node"]));
    assert.deepEqual(new Set(rows.map(({ ours }) => ours)), new Set([true, false]));
  });

  it("reads a line by one load, and says of which commit it is", { skip }, async () => {
    const { readEvidence } = await load();
    const { origin, rows } = readEvidence();
    assert.match(origin.commit, /^[0-9a-f]{7,}/);
    const reads = rows.filter(({ operation }) => operation === "a line read");
    assert.notEqual(reads.length, 0);
    for (const { variant, counts: { loads, stores } } of reads) {
      assert.deepEqual({ loads, stores }, { loads: 1, stores: 0 }, variant);
    }
  });

  it("does not appear with other rows", { skip }, async () => {
    const { documents, readEvidence } = await load();
    const { origin, rows: [first, ...others] } = readEvidence() as Evidence & {
      readonly rows: readonly [LinesRow, ...LinesRow[]];
    };
    const changed = { ...first, counts: { ...first.counts, farMemory: 17 } };
    const files = await documents({ origin, rows: [changed, ...others] });
    for (const name of ["docs/evidence.md", "docs/evidence.svg"]) {
      assert.notEqual(files.get(name), textOf(name), name);
    }
  });
});

describe("modelled times", () => {
  it("add up what each line takes", { skip }, async () => {
    const { MACHINES: [xeon], modelled_ns } = await load();
    assert.ok(xeon !== undefined);
    const { domain, node, farCache, memory } = xeon.latencies;
    const [near, far] = memory as readonly [number, number];
    assert.equal(modelled_ns(xeon, counts({ l3: 1, domain: 1 })), 2 * domain);
    assert.equal(modelled_ns(xeon, counts({ node: 1 })), node);
    assert.equal(modelled_ns(xeon, counts({ farCache: 2 })), 2 * farCache);
    assert.equal(modelled_ns(xeon, counts({ memory: 1, farMemory: 1 })), near + far);
    assert.equal(modelled_ns(xeon, counts({ upgrades: 3, farUpgrades: 1 })), 2 * node + farCache);
    assert.equal(modelled_ns(xeon, counts({ own: 5, loads: 5, farInvalidations: 5 })), 0);
  });

  it("are missing where a latency is that matters", { skip }, async () => {
    const { MACHINES, modelled_ns } = await load();
    const epyc = MACHINES.find(({ latencies }) => latencies.memory === undefined);
    assert.ok(epyc !== undefined);
    assert.equal(modelled_ns(epyc, counts({ memory: 1 })), undefined);
    assert.equal(modelled_ns(epyc, counts({ farCache: 10 })), 10 * epyc.latencies.farCache);
    // Up to a twentieth of the lines does not matter.
    assert.ok((modelled_ns(epyc, counts({ farCache: 95, memory: 5 })) as number) > 0);
    assert.equal(modelled_ns(epyc, counts({ farCache: 94, memory: 6 })), undefined);
  });

  it("are of counts for an operation", { skip }, async () => {
    const { perOperation } = await load();
    const { loads, own } = perOperation(counts({ loads: 10, own: 1 }), 3);
    assert.deepEqual([loads, own], [3.3333, 0.3333]);
  });
});
