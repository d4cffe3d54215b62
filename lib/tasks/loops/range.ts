/**
 * What the callers of parallel loops give: ranges, places, chunks.
 *
 * @module
 */
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkFunction, checkSignal } from "../../base/options.ts";
import { NodeArray } from "../../memory/spread/node_array.ts";
import { checkArgs } from "../crew/crew.ts";
import type { LoopRequest } from "./loop.ts";
import type { LoopOptions, LoopRange } from "./loop_types.ts";
import type { Cut } from "./split.ts";

/** The names of {@linkcode LoopOptions}. */
export const LOOP_OPTIONS: readonly string[] = ["args", "near", "chunk", "signal", "onProgress"];

const MAX_INDEX = Number.MAX_SAFE_INTEGER;
const MAX_LENGTH = 4_503_599_627_370_496; // 2^52: up to there a quotient of two numbers is exact to the unit
const MAX_NODE = 65_535;

/**
 * Checks a range.
 *
 * @param range What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns Begin, end, step.
 * @throws {NumaError} `EINVAL`.
 */
export function checkRange(range: unknown, action: string): Required<LoopRange> {
  if (typeof range === "number") {
    return { begin: 0, end: checkInteger(range, "the range", 0, MAX_LENGTH, action), step: 1 };
  }
  checkOptions(range, "a number, or { begin, end, step }", action);
  const { begin, end, step = 1 } = range as LoopRange;
  checkOptionNames(range as object, ["begin", "end", "step"], action);
  checkInteger(begin, "begin", -MAX_INDEX, MAX_INDEX, action);
  checkInteger(end, "end", begin, Math.min(MAX_INDEX, begin + MAX_LENGTH), action);
  checkInteger(step, "step", 1, MAX_LENGTH, action);
  return { begin, end, step };
}

/** Grains of a range whose chunks follow their time: small enough that few of them take 20 µs. */
const FINE = 1 << 16;

/** What the loops have in common, checked. */
export interface CheckedLoop {
  /** How the range is cut. */
  readonly cut: Cut;
  /** The node of each part. */
  readonly nodes: LoopRequest["nodes"];
  /** Whether the caller gave the size of chunks. */
  readonly hasChunk: boolean;
  /** The arguments of the function. */
  readonly args: readonly unknown[];
  /** The caller's signal. */
  readonly signal: AbortSignal | undefined;
  /** The caller's function. */
  readonly onProgress: LoopRequest["onProgress"];
}

/**
 * Checks options of a loop, looks at each once, and cuts the range.
 *
 * @param range The range, checked.
 * @param options What the caller gave, an object without unknown names.
 * @param action What was asked, as it follows "Cannot".
 * @param grains How many grains the range has where the caller does not give the size of chunks. Default: many.
 * @returns The loop.
 * @throws {NumaError} `EINVAL`, `EDESTROYED`.
 */
export function checkLoop(
  range: Required<LoopRange>,
  options: LoopOptions,
  action: string,
  grains: number = FINE,
): CheckedLoop {
  const { args = [], near, chunk, signal, onProgress } = options;
  checkFunction(onProgress, "onProgress", action);
  const { begin, end, step } = range;
  const turns = Math.ceil((end - begin) / step);
  if (chunk !== undefined) checkInteger(chunk, "chunk", 1, MAX_LENGTH, action);
  const grain = chunk === undefined
    ? Math.max(1, Math.ceil(turns / grains))
    : Math.max(1, Math.floor(chunk / step));
  const { nodes, ...blocks } = blocksOf(near, range, action);
  return {
    cut: { begin, end, step, grain, ...blocks },
    nodes,
    hasChunk: chunk !== undefined,
    args: checkArgs(args, action),
    signal: checkSignal(signal, action),
    onProgress,
  };
}

/**
 * Checks that something is an array over nodes that can be used.
 *
 * @param array What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns It.
 * @throws {NumaError} `EINVAL`, `EDESTROYED`.
 */
export function checkArray(array: unknown, action: string): NodeArray {
  // One without nodes only has the prototype of an array.
  if (!(array instanceof NodeArray) || !Object.hasOwn(array, "nodes")) {
    throw new NumaError("EINVAL", action, {
      why: `the array is ${show(array)}`,
      fix: "Give a NodeArray.",
    });
  }
  array.partitions();
  return array;
}

type Blocks = Pick<Cut, "origin" | "block" | "parts"> & Pick<LoopRequest, "nodes">;

function blocksOf(near: unknown, { begin, end }: LoopRange, action: string): Blocks {
  const length = Math.max(1, end - begin);
  if (near === undefined) return { origin: begin, block: length, parts: 1, nodes: [undefined] };
  if (typeof near === "number" || Array.isArray(near)) {
    const nodes: readonly unknown[] = typeof near === "number" ? [near] : [...near];
    if (nodes.length === 0 || nodes.length > MAX_NODE) {
      throw new NumaError("EINVAL", action, {
        why: `near is a list of ${nodes.length} nodes`,
        fix: "Give a NodeArray, or ids of nodes.",
      });
    }
    for (const node of nodes) checkInteger(node, "a node of near", 0, MAX_NODE, action);
    const block = Math.ceil(length / nodes.length);
    return { origin: begin, block, parts: nodes.length, nodes: nodes as readonly number[] };
  }
  const array = checkArray(near, action);
  const { block, nodes } = array;
  if (begin >= 0 && end <= array.length) return { origin: 0, block, parts: nodes.length, nodes };
  throw new NumaError("EINVAL", action, {
    why: `the range is ${begin} to ${end}, and the array in near has ${array.length} elements`,
    fix: "Give a range within the array.",
  });
}
