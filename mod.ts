/**
 * numakit: a NUMA toolkit for TypeScript on Bun, Deno and Node.
 *
 * It shows which memory is close to which CPUs, puts data on the NUMA node you name, and pins threads next to their
 * data. This module exports everything; `./topology`, `./memory`, `./sync`, `./sched`, `./structs` and
 * `./tasks` export one layer each.
 *
 * Importing it has no effect and works on every system. The C helper is opened on first use, which needs Linux.
 *
 * @example An arena on node 0
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
export * from "./lib/structs/mod.ts";
export * from "./lib/tasks/mod.ts";
