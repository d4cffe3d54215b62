/**
 * What callers give with a task, checked.
 *
 * @module
 */
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkSignal } from "../../base/options.ts";
import { topology } from "../../topology/load.ts";
import { checkTransfer } from "../../sched/transfer.ts";
import { nodeNear } from "../places/near.ts";
import type { RunOptions } from "./task_types.ts";

/** The normal priority. */
export const NORMAL = 1;
const LEVELS: Readonly<Record<string, number>> = { high: 0, normal: NORMAL, low: 2 };
/** The names of the options of `run`. */
export const RUN_OPTIONS: readonly string[] = [
  ...["near", "priority", "signal", "timeoutMs", "transfer"],
];
/** The names of the options of `runSync`. */
export const RUN_SYNC_OPTIONS: readonly string[] = ["near", "priority", "timeoutMs"];
const MAX_MS = 2 ** 31 - 1;

/** Nothing is moved. */
export const NOTHING: readonly object[] = [];

/** Options of a task, checked. */
export interface CheckedOptions {
  readonly level: number;
  /** The node; -1 for none. */
  readonly node: number;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly transfer: readonly object[];
}

/** The nearest node that has workers: none is on a node without CPUs, or on each node if they are few; -1 if none has. */
function nodeWithWorkers(node: number, nodes: readonly number[]): number {
  if (nodes.includes(node)) return node;
  return topology().nearestNodes(node).find((other) => nodes.includes(other)) ?? -1;
}

/**
 * Checks the options of a task.
 *
 * @param options What the caller gave; looked at once.
 * @param names The options that there are.
 * @param nodes The nodes of the pool's workers.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy.
 * @throws {NumaError} `EINVAL`; `ENODEV` there is no such node.
 */
export function checkTaskOptions(
  options: RunOptions,
  names: readonly string[],
  nodes: readonly number[],
  action: string,
): CheckedOptions {
  checkOptions(options, `{ ${names.join(", ")} }`, action);
  const given = { ...options };
  checkOptionNames(given, names, action);
  const { near, priority = "normal", signal, timeoutMs, transfer } = given;
  const refuse = (why: string, fix: string): NumaError =>
    new NumaError("EINVAL", action, { why, fix });
  const isLevel = typeof priority === "string" && Object.hasOwn(LEVELS, priority);
  if (!isLevel) throw refuse(`priority is ${show(priority)}`, 'Give "high", "normal" or "low".');
  checkSignal(signal, action);
  if (timeoutMs !== undefined) checkInteger(timeoutMs, "timeoutMs", 0, MAX_MS, action);
  const node = near === undefined ? -1 : nodeWithWorkers(nodeNear(near, action), nodes);
  const list = transfer === undefined ? NOTHING : checkTransfer(transfer, action);
  return { level: LEVELS[priority] as number, node, signal, timeoutMs, transfer: list };
}
