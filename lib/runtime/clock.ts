import { builtin } from "./builtin.ts";

let origin = NaN;

/**
 * A clock that all threads of the process share, and that nobody sets. That of `performance` begins with `timeOrigin`, which
 * each thread takes from the machine's clock when it starts: that one may be set meanwhile.
 *
 * @returns Milliseconds.
 */
export function monotonicMs(): number {
  const now = performance.now();
  if (Number.isNaN(origin)) origin = Number(builtin("node:process").hrtime.bigint()) / 1e6 - now;
  return origin + now;
}
