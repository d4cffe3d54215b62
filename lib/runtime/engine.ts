/**
 * What the processor and the JavaScript engine are like, for code that counts nanoseconds.
 *
 * @module
 */
import { builtin } from "./builtin.ts";

function runsOnX64(): boolean {
  return globalThis.process !== undefined && builtin("node:process").arch === "x64";
}

/** Whether the processor is x64, which moves no load over another one, and nothing over a locked instruction. */
export const isX64: boolean = /* @__PURE__ */ runsOnX64();

/** Whether the engine is JavaScriptCore, whose `Atomics.load` is a locked instruction. */
export const isJavaScriptCore: boolean = "Bun" in globalThis;
