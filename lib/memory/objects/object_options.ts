import type { ObjectLayout } from "./object_layout.ts";

/** What a heap is made of. */
export interface ObjectHeapOptions {
  /** Where the bookkeeping is. */
  readonly layout: ObjectLayout;
  /** Ids in all: from 0 to this, not included. */
  readonly objects: number;
  /** Objects a chunk, by class; at most `2 ** layout.shift`. */
  readonly slots: readonly number[];
  /** Units a chunk takes, by class. */
  readonly units: readonly number[];
  /** Units in all. */
  readonly room: number;
  /** The calling thread, never reused. */
  readonly self: number;
  /** Whether a thread can still run code. */
  readonly alive: (identity: number) => boolean;
}

/** What a heap holds, by class. */
export interface Census {
  /** Objects in somebody's hands. */
  readonly allocated: readonly number[];
  /** Chunks claimed. */
  readonly chunks: readonly number[];
}
