import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CACHE_NAMES,
  type Counter,
  counterArguments,
  nodeOfCpu,
} from "../../scripts/lib/guest_counter.ts";
import {
  type GuestShape,
  parseShape,
  ShapeError,
  type ShapeWords,
} from "../../scripts/lib/numa_guest.ts";

// What the plugin is told of the machine. It believes every word of it.

const WORDS: ShapeWords = {
  ...{ arch: "x64", nodes: "2", cpus: "2", memory: "768M", distances: "21", l3: "1", threads: "1" },
};
const COUNTER: Counter = { plugin: "p.so", out: "c.json", caches: "none", pages: false };

const shape = (some: Partial<ShapeWords>): GuestShape => parseShape({ ...WORDS, ...some });

/** What follows `-plugin`. */
function argument(some: Partial<ShapeWords>, counter: Partial<Counter> = {}): string {
  const [option, text, ...others] = counterArguments(shape(some), { ...COUNTER, ...counter });
  assert.equal(option, "-plugin");
  assert.deepEqual(others, []);
  return text as string;
}

const refused = (some: Partial<ShapeWords>, counter: Partial<Counter>, message: RegExp): void =>
  assert.throws(() => argument(some, counter), (error) => {
    assert.ok(error instanceof ShapeError);
    assert.match(error.message, message);
    return true;
  });

describe("the counter's arguments", () => {
  it("have each CPU's node, L3 and core, and each node's memory", () => {
    assert.equal(
      argument({ cpus: "4", threads: "2", l3: "2", memory: "768M,1G" }),
      "p.so,cpu=0:0:0,cpu=0:0:0,cpu=0:1:1,cpu=0:1:1,cpu=1:2:2,cpu=1:2:2,cpu=1:3:3,cpu=1:3:3," +
        "memory=768,memory=1024,out=c.json",
    );
  });

  it("have the memory of nodes without CPUs", () => {
    assert.equal(
      argument({ cpus: "2,0", memory: "512M,256M" }),
      "p.so,cpu=0:0:0,cpu=0:0:1,memory=512,memory=256,out=c.json",
    );
  });

  it("have nodes of different sizes", () => {
    assert.equal(
      argument({ cpus: "1,3" }),
      "p.so,cpu=0:0:0,cpu=1:1:1,cpu=1:1:2,cpu=1:1:3,memory=768,memory=768,out=c.json",
    );
  });

  it("have the sizes of the machine's L2 and L3", () => {
    const told = (caches: string) => argument({ nodes: "1", cpus: "1" }, { caches });
    const [cpu, out] = ["p.so,cpu=0:0:0,memory=768", "out=c.json"];
    assert.deepEqual(CACHE_NAMES.map((name) => [name, told(name)]), [
      ["xeon-8380", `${cpu},private=1024x20,l3=81920x12,${out}`],
      ["epyc-7763", `${cpu},private=1024x8,l3=32768x16,${out}`],
      ["none", `${cpu},${out}`],
    ]);
  });

  it("ask for pages only where they are wanted", () => {
    assert.match(argument({}, { pages: true }), /,pages=on,out=c\.json$/);
    assert.doesNotMatch(argument({}), /pages/);
  });

  it("double the commas of paths, at which QEMU splits", () => {
    const text = argument({}, { plugin: "/a,b,c/p.so", out: "/d,e,f/c.json" });
    assert.ok(text.startsWith("/a,,b,,c/p.so,cpu=0:0:0,"), text);
    assert.ok(text.endsWith(",out=/d,,e,,f/c.json"), text);
  });

  it("are of machines with at most 32 CPUs, 16 domains and 16 nodes", () => {
    const cpus = (text: string) => text.split(",").filter((word) => word.startsWith("cpu="));
    assert.equal(cpus(argument({ nodes: "1", cpus: "32" })).at(-1), "cpu=0:0:31");
    refused({ nodes: "1", cpus: "33" }, {}, /machines with at most 32 CPUs, and this one has/);
    refused(
      { nodes: "2", cpus: "18", threads: "2" },
      {},
      /machines with at most 32 CPUs, and this one has/,
    );
    refused(
      { nodes: "1", cpus: "33", l3: "3" },
      {},
      /machines with at most 32 CPUs, and this one has/,
    );
    assert.equal(cpus(argument({ cpus: "8", l3: "8" })).at(-1), "cpu=1:15:15");
    refused({ nodes: "3", cpus: "8", l3: "8" }, {}, /at most 16 L3 domains, and this one has 24$/);
    // Nodes without CPUs have no L3.
    const memoryOnly = (nodes: number) => ({
      nodes: `${nodes}`,
      cpus: ["8", ...new Array<string>(nodes - 1).fill("0")].join(","),
      ...{ l3: "8", memory: "64M" },
    });
    assert.equal(argument(memoryOnly(16)).split("memory=64").length, 17);
    refused(memoryOnly(17), {}, /at most 16 nodes, and this one has 17$/);
  });

  it("are of known caches and of x64", () => {
    refused({}, { caches: "toString" }, /^--caches "toString": it has to be one of/);
    refused({}, { caches: "xeon" }, /^--caches "xeon": .* xeon-8380, epyc-7763, none$/);
    refused({ arch: "arm64" }, {}, /x64 only/);
  });
});

describe("nodeOfCpu", () => {
  const nodes = (some: Partial<ShapeWords>, cpus: number) =>
    Array.from({ length: cpus }, (_, cpu) => nodeOfCpu(shape(some), cpu));

  it("knows nodes of different sizes, and where there is no CPU", () => {
    assert.deepEqual(nodes({ cpus: "1,3" }, 5), [0, 1, 1, 1, -1]);
    assert.deepEqual(nodes({ cpus: "3,1" }, 5), [0, 0, 0, 1, -1]);
  });

  it("is not the domain, nor of the core", () => {
    assert.deepEqual(nodes({ cpus: "4", threads: "2", l3: "2" }, 8), [0, 0, 0, 0, 1, 1, 1, 1]);
  });
});
