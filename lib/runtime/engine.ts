/**
 * What the processor and the JavaScript engine are like, for code that counts nanoseconds. Known when a module that asks is
 * loaded, so it must not take long to ask.
 *
 * @module
 */

interface Runtimes {
  readonly Bun?: unknown;
  readonly Deno?: { readonly build: { readonly arch: string } };
  readonly process?: { readonly arch: string };
}

const runtimes = globalThis as Runtimes;

function runsOnX64(): boolean {
  const { Deno } = runtimes;
  // The first look at `process` takes 15 ms on Deno.
  return Deno === undefined ? runtimes.process?.arch === "x64" : Deno.build.arch === "x86_64";
}

function runsInJavaScriptCore(): boolean {
  return runtimes.Bun !== undefined;
}

/** Whether the processor is x64, which moves no load over another one, and nothing over a locked instruction. */
export const isX64: boolean = /* @__PURE__ */ runsOnX64();

/** Whether the engine is JavaScriptCore, whose `Atomics.load` is a locked instruction. */
export const isJavaScriptCore: boolean = /* @__PURE__ */ runsInJavaScriptCore();
