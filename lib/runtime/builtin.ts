import process from "node:process";

/** The runtime's own modules that are too slow to load for a program that may never need them. */
interface Builtins {
  "node:crypto": typeof import("node:crypto");
  "node:diagnostics_channel": typeof import("node:diagnostics_channel");
  "node:v8": typeof import("node:v8");
  "node:worker_threads": typeof import("node:worker_threads");
}

/**
 * Loads one of the runtime's own modules now. An import would do it when numakit is imported, which on Bun costs 9 ms
 * for node:crypto and 6 ms for node:worker_threads.
 *
 * @param name The module.
 * @returns Its exports.
 */
export function builtin<Name extends keyof Builtins>(name: Name): Builtins[Name] {
  return process.getBuiltinModule(name) as Builtins[Name];
}
