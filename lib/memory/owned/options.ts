import type { ByteSize } from "../../base/bytes.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkNodes } from "../arena/node_arenas.ts";

/** Options of {@linkcode bind}. */
export interface BindOptions {
  /** The node. */
  readonly node: number;
  /**
   * Whether to ask for transparent hugepages before the first touch. {@linkcode BufferPlacement} still counts small
   * pages. Default: false.
   */
  readonly huge?: boolean;
}

/** Options of {@linkcode interleave}. */
export interface InterleaveOptions {
  /** The nodes, in the order in which pages go to them. */
  readonly nodes: readonly number[];
  /** The number of pages that each of them gets in a round: 0 to 1,000. Default: one each. */
  readonly weights?: readonly number[];
}

/** Where {@linkcode migrate} moves memory. */
export interface MoveOptions {
  /** The node. */
  readonly node: number;
}

/** Options of {@linkcode sharedBuffer}. */
export interface SharedBufferOptions extends BindOptions {
  /** Bytes, or a text such as `"1 MiB"`. */
  readonly size: ByteSize;
}

const MAX_WEIGHT = 1000;

/**
 * Which node each page of a round goes to: each node's pages spread over the round (smooth weighted round-robin).
 *
 * @param options What a caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The nodes, one for each page of a round.
 * @throws {NumaError} `EINVAL`.
 */
export function patternOf({ nodes, weights }: InterleaveOptions, action: string): number[] {
  checkNodes(nodes, action);
  const shares: readonly number[] = weights ?? nodes.map(() => 1);
  if (!Array.isArray(shares) || shares.length !== nodes.length) {
    throw new NumaError("EINVAL", action, {
      why: `weights is ${show(weights)} for ${nodes.length} nodes`,
      fix: "Give one weight for each node.",
    });
  }
  for (const share of shares) checkInteger(share, "a weight", 0, MAX_WEIGHT, action);
  const round = shares.reduce((sum, share) => sum + share, 0);
  checkInteger(round, "the sum of the weights", 1, MAX_WEIGHT * nodes.length, action);
  const credit = shares.map(() => 0);
  return Array.from({ length: round }, () => {
    for (const [index, share] of shares.entries()) {
      credit[index] = (credit[index] as number) + share;
    }
    const richest = credit.indexOf(Math.max(...credit));
    credit[richest] = (credit[richest] as number) - round;
    return nodes[richest] as number;
  });
}
