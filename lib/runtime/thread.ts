import { ERRNO, errnoError } from "../base/errno.ts";
import { NumaError } from "../base/error.ts";
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

/** As long as the kernel keeps names, in bytes of UTF-8. */
const NAME_BYTES = 15;

/** What fits of a name, whole characters only, with a NUL behind it. */
function cutName(name: string): Uint8Array {
  const bytes = new Uint8Array(NAME_BYTES + 1);
  // A NUL would end the name there.
  new TextEncoder().encodeInto(name.replaceAll("\0", " "), bytes.subarray(0, NAME_BYTES));
  return bytes;
}

/**
 * Names the calling thread for tools such as htop: at most 15 bytes of the name, cut at a character.
 *
 * @param name The name.
 * @throws {NumaError} When the system refuses (seccomp).
 */
export function nameThread(name: string): void {
  const result = native().calls.nk_thread_rename(cutName(name));
  if (result < 0) throw errnoError(result, "prctl", "name this thread");
}

/**
 * What a thread has used of CPUs, in user and in kernel mode.
 *
 * @param identity Its {@linkcode ThreadIdentity.identity}.
 * @returns Milliseconds; all that it used when it is gone; undefined when that is not known any more, or never was.
 */
export function threadCpuMs(identity: number): number | undefined {
  const out = new BigUint64Array(1);
  const result = native().calls.nk_thread_cpu_time(identity, out);
  return result < 0 ? undefined : Number(out[0]) / 1e6;
}

/**
 * The niceness of a thread.
 *
 * @param identity Its {@linkcode ThreadIdentity.identity}.
 * @returns -20 to 19; undefined when it is gone.
 */
export function threadNice(identity: number): number | undefined {
  const out = new Int32Array(1);
  return native().calls.nk_thread_nice(identity, out) < 0 ? undefined : out[0];
}

/**
 * Makes a thread more or less nice.
 *
 * @param identity Its {@linkcode ThreadIdentity.identity}.
 * @param nice -20 to 19.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EPERM` the system refuses less; `ESTALE` it is gone.
 */
export function reniceThread(identity: number, nice: number, action: string): void {
  const result = native().calls.nk_thread_renice(identity, nice);
  if (result >= 0) return;
  if (result !== -ERRNO.EACCES && result !== -ERRNO.EPERM) {
    throw errnoError(result, "setpriority", action);
  }
  throw new NumaError("EPERM", action, {
    why: "the system refuses that to this process " +
      (result === -ERRNO.EPERM ? "(EPERM)" : "(EACCES)"),
    fix: "To be less nice needs CAP_SYS_NICE (`docker run --cap-add SYS_NICE`), or a limit that " +
      "permits it (`ulimit -e`).",
    syscall: "setpriority",
  });
}
