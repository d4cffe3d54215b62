/**
 * What the moving of a thread is given, and what it tells.
 *
 * @module
 */
import type { NumaError } from "../../base/error.ts";
import type { OwnedMemory } from "../../memory/owned/owned.ts";
import type { BindStrengths } from "../binding/binding.ts";
import type { ThreadPlacement } from "../policies/plan.ts";
import type { MigrateProgress } from "./move_memory.ts";

/** How `Thread.migrate` moves a thread. */
export interface MigrateOptions {
  /**
   * The index of its new place in the policy, from 0 to 65,534. Default: the one it has, if it has that policy already, and
   * otherwise the lowest that no live thread of an equal policy has.
   */
  readonly place?: number;
  /** How hard it is bound there. Default: as it was launched or last migrated. */
  readonly bind?: BindStrengths;
  /**
   * Memory of the runtime (buffers, typed arrays, Wasm memories) that moves to the thread's new node, after the thread. An
   * arena stays on its node for good. Default: none.
   */
  readonly buffers?: readonly OwnedMemory[];
  /**
   * How long to wait until the thread has changed its own memory policy, in milliseconds: 0 to 2^31 - 1. It does so in any
   * case, when it comes to its event loop. Default: 1,000.
   */
  readonly timeoutMs?: number;
  /** Called after each step of 64 MiB of `buffers`. */
  readonly onProgress?: (progress: MigrateProgress) => void;
  /** Stops the moving of `buffers` before the next step. The promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** What `Thread.migrate` has done. */
export interface MigrationReport {
  /** The thread's place before. */
  readonly from: ThreadPlacement;
  /** Its place now. */
  readonly to: ThreadPlacement;
  /**
   * What has become of its CPUs: `"moved"`; `"same"`, the kernel had nothing to change, or refused to; `"off"`, they
   * were not to be changed.
   */
  readonly cpus: "moved" | "same" | "off";
  /**
   * What has become of its memory policy: `"moved"`, new pages come from the new node; `"none"`, from wherever it runs, as
   * was asked for or because its CPUs have no one node; `"refused"`; `"pending"`, it has not come to its event loop, and
   * will change it when it does, unless it ends before.
   */
  readonly memory: "moved" | "none" | "refused" | "pending";
  /** Why it has not all that was asked for, as far as is known by now; undefined when it has. */
  readonly refused: NumaError | undefined;
  /** Bytes of whole pages in `buffers`. */
  readonly bufferBytes: number;
  /** Pages of `buffers` that were on other nodes. */
  readonly movedPages: number;
  /** Pages of `buffers` that were never touched: they come to be where that happens. */
  readonly absentPages: number;
}
