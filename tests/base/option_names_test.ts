import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Arena,
  bind,
  Histogram,
  interleave,
  migrate,
  Mutex,
  NodeArray,
  NodePool,
  Replicated,
  sharedBuffer,
  Slab,
  SpscRing,
} from "../../mod.ts";
import { checkOptionNames } from "../../lib/base/check.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";

const memory = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
const buffer = memory(65_536);

/** Options with a slip in them, by what is called, and the option that was meant. */
const SLIPS: Readonly<Record<string, readonly [(options: never) => unknown, object, string]>> = {
  "Arena.create": [Arena.create, { node: 0, size: "1 MiB", page: "2m" }, "pages"],
  "bind": [(options) => bind(buffer, options), { node: 0, hugee: true }, "huge"],
  "interleave": [(options) => interleave(buffer, options), { nodes: [0], weight: [1] }, "weights"],
  "migrate": [(options) => migrate(buffer, options), { nodes: 0 }, "node"],
  "sharedBuffer": [sharedBuffer, { node: 0, size: 4096, sise: 1 }, "size"],
  "Slab.create": [Slab.create, { node: 0, objectsize: 8, count: 1 }, "objectSize"],
  "NodePool.create": [NodePool.create, { bytesPerNode: "1 MiB", thread: 1 }, "threads"],
  "Replicated.create": [Replicated.create, { size: 64, node: [0] }, "nodes"],
  "NodeArray.create": [NodeArray.create, { type: "int8", length: 1, blocks: 1 }, "block"],
  "Mutex.create": [
    (options) => Mutex.create(memory(Mutex.bytes()), options),
    { statistic: true },
    "statistics",
  ],
  "Mutex.bytes": [Mutex.bytes, { stats: true }, "{ "],
  "SpscRing.bytes": [SpscRing.bytes, { capacitty: 8 }, "capacity"],
};

describe("an option that does not exist", () => {
  for (const [name, [call, options, meant]] of Object.entries(SLIPS)) {
    it(`is refused with the one that was meant: ${name}`, () => {
      const text = new RegExp(`it has no option "\\w+"\\. Give ${meant}`);
      throwsCode(() => call(options as never), "EINVAL", text);
    });
  }

  it("is refused by waits", async () => {
    const mutex = Mutex.create(memory(Mutex.bytes()));
    const slip = { timeout: 5 } as object;
    throwsCode(() => mutex.acquire(slip), "EINVAL", /"timeout"\. Give timeoutMs\./);
    await rejectsCode(mutex.acquireAsync(slip), "EINVAL", /"timeout"\. Give timeoutMs\./);
    const controller = new AbortController();
    using _guard = await mutex.acquireAsync(controller);
    assert.ok(true, "what is inherited is no slip");
    const histogram = Histogram.create(memory(Histogram.bytes()));
    throwsCode(() => histogram.snapshot({ resett: true } as object), "EINVAL", /Give reset\./);
  });

  it("is only near to what it could be", () => {
    const names = ["node", "size", "timeoutMs"];
    const fix = (name: string): string => {
      try {
        checkOptionNames({ [name]: 1 }, names, "try");
      } catch (error) {
        return /Give (.*)\.$/.exec((error as Error).message)?.[1] ?? "";
      }
      return "nothing";
    };
    const all = "{ node, size, timeoutMs }";
    const told = ["node", "Node", "nodes", "nod", "mode", "sizes", "timeout", "no", "color", ""];
    assert.deepEqual(told.map(fix), [
      ...["nothing", "node", "node", "node", "node", "size", "timeoutMs", all, all, all],
    ]);
  });
});
