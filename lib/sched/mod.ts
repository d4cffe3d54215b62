/**
 * Worker threads that are pinned, moved, grouped and started again; the policies that say which CPUs and which node they
 * get; and machines that change meanwhile.
 *
 * @example A thread on the CPUs of node 0
 * ```ts
 * import { launch, Policy } from "@numakit/numakit/sched";
 *
 * // Usually new URL("./worker.ts", import.meta.url), whose default export is worker((args) => …).
 * const module = "data:text/javascript,export default ({ a, b }) => a + b";
 * const thread = launch<number>(module, { policy: Policy.bindNode(0), args: { a: 1, b: 2 } });
 * console.log(await thread.join()); // 3
 * ```
 *
 * @module
 */
export { plan, type ThreadPlacement } from "./policies/plan.ts";
export {
  explain,
  type PlacementReason,
  type PlanExplanation,
  type ThreadExplanation,
} from "./policies/explain.ts";
export { type PlaceKind, Policy, type PolicyDescription } from "./policies/policy.ts";
export { launch, type LaunchOptions } from "./launch.ts";
export type { ThreadEvent, ThreadMessageListener } from "./thread_events.ts";
export { type TerminateOptions, Thread, type ThreadState } from "./thread.ts";
export { joinAll } from "./unjoined.ts";
export { transfer } from "./transfer.ts";
export { decode as fromHandles, encode as toHandles } from "../base/handle.ts";
export { unpinned } from "./binding/layers.ts";
export { worker, type WorkerFunction } from "./worker.ts";
export type {
  BindStrength,
  BindStrengths,
  CpuBinding,
  MemoryBinding,
  ThreadBinding,
} from "./binding/binding.ts";
export type { HeapSample } from "./binding/heap_sample.ts";
export { Pin, pin, type PinOptions } from "./binding/scoped_pin.ts";
export type { MigrateOptions, MigrationReport } from "./move/migrate_types.ts";
export type { MigrateProgress } from "./move/move_memory.ts";
export { launchAll, type LaunchAllOptions, ThreadGroup } from "./groups/thread_group.ts";
export { type RestartOptions } from "./groups/restarts.ts";
export {
  type RestartEvent,
  supervise,
  SupervisedThread,
  type SuperviseOptions,
} from "./groups/supervised_thread.ts";
export {
  type MachineChange,
  MachineWatch,
  type ReplannedThread,
  watchMachine,
  type WatchOptions,
} from "./watch/machine_watch.ts";
export {
  type PlacedHelper,
  type PlacedHelpers,
  placeHelpers,
  type PlaceHelpersOptions,
} from "./helpers.ts";
export type { Handle, Shareable } from "../base/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../base/error.ts";
