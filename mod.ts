/**
 * numakit: the NUMA toolkit for TypeScript on Bun, Deno and Node.
 *
 * See the machine, put bytes on a node and prove it, keep threads where their bytes are. Importing this module has no
 * effect: the C helper is opened on first use, and only Linux needs it.
 *
 * @example
 * ```ts
 * import { Arena, topology } from "@numakit/numakit";
 *
 * console.log(topology().summary());
 * using arena = Arena.create({ node: 0, size: "1 MiB" });
 * const data = arena.allocInt32(1024);
 * data.fill(7);
 * ```
 *
 * @module
 */
export * from "./lib/topology/mod.ts";
export * from "./lib/memory/mod.ts";
export * from "./lib/sync/mod.ts";
export * from "./lib/sched/mod.ts";
