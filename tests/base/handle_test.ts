import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decode, encode } from "../../lib/base/handle.ts";
import { Arena } from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";

const across = (value: unknown): unknown => decode(structuredClone(encode(value)));

describe("handles", () => {
  it("leave everything else as structured clone has it", () => {
    const values = [
      undefined,
      null,
      1,
      "x",
      2n,
      true,
      [1, [2]],
      { a: { b: new Date(0) } },
      new Map([[1, { x: new Set([2]) }]]),
      new Uint8Array([1, 2]),
      new Error("kept"),
      /x/g,
    ];
    for (const value of values) assert.deepEqual(across(value), value);
  });

  it("keep cycles, shared parts, holes and odd keys", () => {
    const value: Record<string, unknown> = { part: { x: 1 } };
    value["self"] = value;
    value["again"] = value["part"];
    value["list"] = [, 1]; // deno-lint-ignore no-sparse-arrays
    Object.defineProperty(value, "__proto__", { value: "a name", enumerable: true });
    const copy = across(value) as Record<string, unknown>;
    assert.equal(copy["self"], copy);
    assert.equal(copy["again"], copy["part"]);
    assert.equal(0 in (copy["list"] as unknown[]), false);
    assert.equal(Object.getOwnPropertyDescriptor(copy, "__proto__")?.value, "a name");
  });

  it("find objects at any depth", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    const value = { a: [new Map([[{ arena }, new Set([arena])]])] };
    const copy = across(value) as typeof value;
    const [[key, set]] = [...copy.a[0] as Map<{ arena: Arena }, Set<Arena>>] as never as [
      [{ arena: Arena }, Set<Arena>],
    ];
    assert.equal(key.arena, arena);
    assert.equal(set.has(arena), true);
  });

  it("of a kind that is not known are refused", () => {
    throwsCode(() => decode({ numakitHandle: "teapot", data: {} }), "EINVAL", /teapot/);
  });
});
