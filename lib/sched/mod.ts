/**
 * Threads where their bytes are: policies, pinned workers.
 *
 * @module
 */
export { type Placement, plan, Policy, type PolicyDescription } from "./policy.ts";
export {
  joinAll,
  launch,
  type LaunchOptions,
  type TerminateOptions,
  Thread,
  type ThreadState,
} from "./thread.ts";
export type { HeapPolicy } from "./pin.ts";
export { worker, type WorkerFunction } from "./worker.ts";
