/**
 * The threads of this one that have not ended.
 *
 * @module
 */
import type { ToWorker } from "./message.ts";
import type { Mover } from "./move/mover.ts";
import type { Thread } from "./thread.ts";

/** A thread that lives, and how to tell it something, which is lost when it has ended. */
export interface LiveThread {
  readonly thread: Thread<unknown>;
  readonly mover: Mover;
  send(message: ToWorker): void;
}

/** All threads of this one that have not ended. */
export const liveThreads: Set<LiveThread> = /* @__PURE__ */ new Set();
