/**
 * Synchronization between threads: locks, counters and barriers in memory that you provide, an arena or a
 * `SharedArrayBuffer`.
 *
 * @example A mutex and what it protects
 * ```ts
 * import { Mutex } from "@numakit/numakit/sync";
 *
 * const mutex = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
 * const balance = new Int32Array(new SharedArrayBuffer(4));
 * {
 *   using _guard = await mutex.acquireAsync(); // in a worker also mutex.acquire()
 *   balance[0]! += 100;
 * }
 * console.log(balance[0]); // 100
 * ```
 *
 * @module
 */
export { Barrier } from "./barriers/barrier.ts";
export { CnaLock, type CnaLockOptions } from "./locks/cna_lock.ts";
export { CohortLock, type CohortLockOptions } from "./locks/cohort_lock.ts";
export { Condition } from "./conditions/condition.ts";
export { Epoch } from "./epoch/epoch.ts";
export { EventCount } from "./conditions/event_count.ts";
export {
  Histogram,
  type HistogramOptions,
  type HistogramSnapshotOptions,
} from "./counters/histogram.ts";
export { HistogramSnapshot } from "./counters/histogram_snapshot.ts";
export { Latch } from "./barriers/latch.ts";
export { LimitedCounter, type LimitedCounterOptions } from "./counters/limited_counter.ts";
export { Guard } from "./locks/guard.ts";
export { Lock, type LockOptions } from "./locks/lock.ts";
export type { LockReport } from "./locks/lock_report.ts";
export { McsLock } from "./locks/mcs_lock.ts";
export { Mutex, type MutexOptions } from "./locks/mutex.ts";
export { Once } from "./barriers/once.ts";
export type { AsyncWaitOptions, BlockOptions } from "../wait/options.ts";
export {
  PartitionedCounter,
  type PartitionedCounterOptions,
  type PartitionedCounterShards,
} from "./counters/partitioned_counter.ts";
export type { SyncMemory, SyncOptions } from "../shared/region.ts";
export { RwLock } from "./readers/rw_lock.ts";
export { RwSpinLock } from "./readers/rw_spin_lock.ts";
export { Semaphore, type SemaphoreOptions } from "./conditions/semaphore.ts";
export { SeqLock, type SeqLockOptions } from "./readers/seq_lock.ts";
export { SharedMutex } from "./locks/shared_mutex.ts";
export { TicketLock } from "./locks/ticket_lock.ts";
export { setWaitStrategy, type WaitStrategy } from "../wait/wait_strategy.ts";
export type { Handle, Shareable } from "../base/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../base/error.ts";
