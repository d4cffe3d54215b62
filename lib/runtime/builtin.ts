/** The runtime's own modules, all of them too slow to load for a program that may never need them. */
interface Builtins {
  "node:buffer": typeof import("node:buffer");
  "node:crypto": typeof import("node:crypto");
  "node:diagnostics_channel": typeof import("node:diagnostics_channel");
  "node:fs": typeof import("node:fs");
  "node:module": typeof import("node:module");
  "node:os": typeof import("node:os");
  "node:path": typeof import("node:path");
  "node:process": NodeJS.Process;
  "node:stream/web": typeof import("node:stream/web");
  "node:timers": typeof import("node:timers");
  "node:url": typeof import("node:url");
  "node:v8": typeof import("node:v8");
  "node:worker_threads": typeof import("node:worker_threads");
}

/**
 * Loads one of the runtime's own modules now. An import would do it when numakit is imported, which costs 25 ms for
 * node:fs and 12 ms for node:process on Deno, 9 ms for node:crypto and 6 ms for node:worker_threads on Bun.
 *
 * @param name The module.
 * @returns Its exports.
 */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  return globalThis.process.getBuiltinModule(name) as Builtins[Name];
}
