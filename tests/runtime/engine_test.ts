import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { isJavaScriptCore, isX64 } from "../../lib/runtime/engine.ts";
import { onBun } from "../support/checkout.ts";

describe("the processor and the engine", () => {
  it("are what the runtime says", () => {
    assert.equal(isX64, process.arch === "x64");
    assert.equal(isJavaScriptCore, onBun);
  });
});
