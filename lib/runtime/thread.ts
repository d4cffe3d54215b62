import { errnoError } from "../base/errno.ts";
import { native } from "./native.ts";

/** The identity of a thread in this process. */
export interface ThreadIdentity {
  /** Never reused while the process lives. */
  readonly identity: number;
  /** 0 .. 65534, dense, reused after the thread is gone. */
  readonly slot: number;
  /** The OS thread id. */
  readonly tid: number;
}

let self: ThreadIdentity | undefined;

/**
 * The calling thread. The first call registers it with the C helper, which from then on knows when it ends.
 *
 * @returns The same object for the rest of the thread's life.
 * @throws {NumaError} `EAGAIN` when there are too many threads; what loading the C helper throws.
 */
export function threadSelf(): ThreadIdentity {
  if (self !== undefined) return self;
  const out = new BigUint64Array(3);
  const result = native().calls.nk_thread_self(out);
  if (result < 0) throw errnoError(result, "nk_thread_self", "register this thread");
  self = { identity: Number(out[0]), slot: Number(out[1]), tid: Number(out[2]) };
  return self;
}

/** Lets another thread run on this CPU, if one wants to. One foreign call, and a switch of threads if so. */
export function threadYield(): void {
  native().calls.nk_thread_yield();
}

/**
 * Whether a thread can still run code.
 *
 * @param identity Its {@linkcode ThreadIdentity.identity}.
 * @returns False once its OS thread is past its last line of JavaScript, whichever way it ended.
 */
export function threadAlive(identity: number): boolean {
  return native().calls.nk_thread_alive(identity) === 1;
}
