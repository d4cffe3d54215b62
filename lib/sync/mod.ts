/**
 * Synchronisation between threads: locks, counters and barriers in shared memory.
 *
 * @module
 */
export type { BlockOptions, WaitOptions } from "./block.ts";
export { Guard, Lock, type LockOptions } from "./lock.ts";
export type { LockReport } from "./lock_statistics.ts";
export { Mutex } from "./mutex.ts";
export type { SyncMemory, SyncOptions } from "./region.ts";
