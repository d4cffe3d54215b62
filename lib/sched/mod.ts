/**
 * Threads where their bytes are: policies, pinned workers.
 *
 * @module
 */
export { type Placement, plan } from "./plan.ts";
export { Policy, type PolicyDescription } from "./policy.ts";
export { launch, type LaunchOptions } from "./launch.ts";
export type { MessageListener, ThreadEvent } from "./mailbox.ts";
export { joinAll, type TerminateOptions, Thread, type ThreadState } from "./thread.ts";
export { transfer } from "./transfer.ts";
export { decode as fromHandles, encode as toHandles } from "../base/handle.ts";
export { type HeapPolicy, type HeapReport, unpinned } from "./pin.ts";
export { worker, type WorkerFunction } from "./worker.ts";
