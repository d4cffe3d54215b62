import process from "node:process";

/**
 * A clock that all threads of the process share, in milliseconds. That of `performance` begins with `timeOrigin`, which each
 * thread takes from the machine's clock when it starts: that one may be set meanwhile.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
