/**
 * What parallel loops are given, and what they tell.
 *
 * @module
 */
import type { NodeArray } from "../../memory/spread/node_array.ts";

/** A `NodeArray` with elements of any type. */
export type AnyNodeArray = Pick<NodeArray, "length" | "block" | "nodes">;

/** The indices that a parallel loop goes over. */
export interface LoopRange {
  /** The first index: a whole number from -2^53 + 1 to 2^53 - 1. */
  readonly begin: number;
  /** The index behind the last one: from `begin` to `begin` + 2^52, 2^53 - 1 at the most. */
  readonly end: number;
  /** From one index to the next: at least 1. Default: 1. */
  readonly step?: number;
}

/** Options of parallel loops. */
export interface LoopOptions {
  /**
   * What the function gets behind `begin` and `end`: anything that can be cloned, with numakit's objects in it at any
   * depth. Each worker gets it once. Default: nothing.
   */
  readonly args?: readonly unknown[];
  /**
   * Where the data of an index is. A `NodeArray`: the index is that of its element. Node ids: the range is divided into as
   * many equal parts, one on each. Default: nowhere; the range is divided among the workers.
   */
  readonly near?: AnyNodeArray | number | readonly number[];
  /**
   * The most indices of a call: 1 to 2^52. Default: chosen by how long calls take, so that one takes 20 µs or more as long
   * as there is enough to do.
   */
  readonly chunk?: number;
  /** Ends the loop early: chunks that have begun are done, others are not. The promise then rejects with its reason. */
  readonly signal?: AbortSignal;
  /**
   * Called in the calling thread, each 20 ms or so while something was done, and at the end. If it throws, the loop ends
   * as with a signal, and the promise rejects with what it threw.
   */
  readonly onProgress?: (progress: LoopProgress) => unknown;
}

/** How far a loop is. */
export interface LoopProgress {
  /** Iterations that are done; of `forEachPartition`, parts. */
  readonly done: number;
  /** All of them. */
  readonly total: number;
}
