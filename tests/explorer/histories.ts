/**
 * Whether what threads found in a queue is what they could have found one after the other.
 *
 * @module
 */

/** A call of a thread, as it goes. */
export interface Operation {
  /** Puts in all or none, or as many as there is room for; takes out up to so many, or all or none; closes. */
  readonly what: "push" | "push some" | "pop" | "pop all" | "close";
  /** How many records. */
  readonly count: number;
  /** When it began: every moment is there once. */
  readonly begun: number;
  /** When it ended; never, when its thread died in it. */
  ended: number;
  /** How many records were moved, or that the queue was closed. */
  result: number;
  /** Which ones; at first, those that are put in. */
  moved: readonly number[];
}

interface State {
  readonly records: readonly number[];
  readonly isClosed: boolean;
}

/** What the queue may be after an operation: nothing if that could not have gone so. */
function after(
  { records, isClosed }: State,
  { what, count, ended, result, moved }: Operation,
  capacity: number,
  closedResult: number,
): State[] {
  if (what === "close") return [{ records, isClosed: true }];
  const isPush = what === "push" || what === "push some";
  const most = Math.min(count, isPush ? capacity - records.length : records.length);
  const least = what === "push" || what === "pop all" ? count : 1;
  /** With so many moved. */
  const then = (moves: number): State => ({
    records: isPush ? [...records, ...moved.slice(0, moves)] : records.slice(moves),
    isClosed,
  });
  if (ended === Infinity) {
    const ways = Math.max(0, isPush && isClosed ? 0 : most + 1 - least);
    return Array.from({ length: ways }, (_, way) => then(least + way));
  }
  if (isPush && isClosed) return result === closedResult ? [{ records, isClosed }] : [];
  if (result === 0) return most < least ? [{ records, isClosed }] : [];
  // Of a batch that may be cut short, more may have been possible a moment later.
  if (result < least || result > most) return [];
  const isRight = isPush || moved.every((record, at) => record === records[at]);
  return isRight ? [then(result)] : [];
}

/**
 * Looks for an order of operations in which each could have gone as it did, none of them before one that had ended when
 * it began. Those that did not end may have done what they do, or nothing.
 *
 * @param operations All of them.
 * @param records What was in the queue before.
 * @param capacity How many it has room for.
 * @param closedResult What says that it is closed.
 * @returns Undefined if there is one, else the operations.
 */
export function whatIsWrong(
  operations: readonly Operation[],
  records: readonly number[],
  capacity: number,
  closedResult: number,
): string | undefined {
  const goesOn = (left: readonly Operation[], state: State): boolean => {
    const end = Math.min(...left.map(({ ended }) => ended));
    if (end === Infinity) return true;
    return left.some((next) => {
      if (next.begun > end) return false;
      const rest = left.filter((other) => other !== next);
      return after(state, next, capacity, closedResult).some((then) => goesOn(rest, then));
    });
  };
  if (goesOn(operations, { records, isClosed: false })) return undefined;
  return operations.map(({ what, count, begun, ended, result, moved }) =>
    `${what} ${count} from ${begun} to ${ended}: ${result} (${moved})`
  ).join(", ");
}
