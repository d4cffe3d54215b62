/**
 * Synchronisation between threads: locks, counters and barriers in shared memory.
 *
 * @module
 */
export { Barrier } from "./barrier.ts";
export { CnaLock, type CnaLockOptions } from "./cna_lock.ts";
export { CohortLock, type CohortLockOptions } from "./cohort_lock.ts";
export { Condition } from "./condition.ts";
export { Epoch } from "./epoch.ts";
export { EventCount } from "./event_count.ts";
export { Histogram, type HistogramOptions, type SnapshotOptions } from "./histogram.ts";
export { HistogramSnapshot } from "./histogram_snapshot.ts";
export { Latch } from "./latch.ts";
export { LimitedCounter, type LimitedCounterOptions } from "./limited_counter.ts";
export { Guard } from "./guard.ts";
export { Lock, type LockOptions } from "./lock.ts";
export type { LockReport } from "./lock_report.ts";
export { McsLock } from "./mcs_lock.ts";
export { Mutex, type MutexOptions } from "./mutex.ts";
export { Once } from "./once.ts";
export type { BlockOptions, WaitOptions } from "../wait/options.ts";
export {
  type CounterOptions,
  type CounterShards,
  PartitionedCounter,
} from "./partitioned_counter.ts";
export type { SyncMemory, SyncOptions } from "./region.ts";
export { RwLock } from "./rw_lock.ts";
export { RwSpinLock } from "./rw_spin_lock.ts";
export { Semaphore, type SemaphoreOptions } from "./semaphore.ts";
export { SeqLock, type SeqLockOptions } from "./seq_lock.ts";
export { SharedMutex } from "./shared_mutex.ts";
export { TicketLock } from "./ticket_lock.ts";
export { setWaitStrategy, type WaitStrategy } from "../wait/wait_strategy.ts";
