import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { native } from "../../lib/runtime/native.ts";
import { ABI_VERSION, MAPPING_FACTS, type Signature, SYMBOLS } from "../../lib/runtime/symbols.ts";
import { checkoutFile } from "../support/checkout.ts";

const ARGS: Record<string, string> = { int32_t: "i32", uint64_t: "u64" };

function argOf(parameter: string): string {
  if (parameter.includes("*")) return "buffer";
  const type = parameter.trim().split(/\s+/)[0] ?? "";
  return ARGS[type] ?? `no table type for ${type}`;
}

/** The prototypes of the header. */
function readHeader(): { version: number; functions: Record<string, Signature> } {
  const header = readFileSync(checkoutFile("native/include/numakit.h"), "utf8");
  const functions: Record<string, Signature> = {};
  for (const [, result, name, list] of header.matchAll(/^NK_API (\w+) (\w+)\(([^)]*)\);/gm)) {
    assert.equal(result, "int32_t", `${name} returns ${result}`);
    const args = list === "void" ? [] : (list ?? "").split(",").map(argOf);
    functions[name as string] = { args, returns: "i32" } as Signature;
  }
  return { version: Number(/#define NK_ABI_VERSION (\d+)/.exec(header)?.[1]), functions };
}

describe("the C helper's interface", () => {
  it("is in the header what the table says", () => {
    const { version, functions } = readHeader();
    assert.deepEqual(SYMBOLS as Record<string, Signature>, functions);
    assert.equal(version, ABI_VERSION);
  });

  it("is in the export map what the table says", () => {
    const map = readFileSync(checkoutFile("native/numakit.map"), "utf8");
    const names = [...map.matchAll(/^\s+(nk_\w+);/gm)].map(([, name]) => name);
    assert.deepEqual(names, Object.keys(SYMBOLS).sort());
  });

  it("is in the built library what the table says, and nothing else", () => {
    const lines = execFileSync("nm", ["-D", "--defined-only", native().path], { encoding: "utf8" });
    const names = [...lines.matchAll(/ T (\w+)/g)].map(([, name]) => name).sort();
    assert.deepEqual(names, Object.keys(SYMBOLS).sort());
  });

  it("takes numbers beyond 32 bits unharmed", () => {
    // A mapping's identity is serial * 65536 + slot; one that was cut to 32 bits would be found.
    const out = new BigUint64Array(MAPPING_FACTS);
    const { calls } = native();
    assert.equal(calls.nk_mapping_create(0, 0, 0, 4096, 4096, out), MAPPING_FACTS);
    const identity = Number(out[0]);
    assert.equal(calls.nk_mapping_attach(identity + 2 ** 48, out), -116);
    assert.equal(calls.nk_mapping_release(identity, 1), 0);
  });

  it("opens at once from several places without being opened twice", () => {
    assert.equal(native(), native());
  });
});
