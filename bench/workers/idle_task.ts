/**
 * What idle threads of the benchmarks do.
 */

/** What a thread is given. */
export interface IdleTask {
  /** One number: when it began. */
  readonly began: Float64Array<SharedArrayBuffer>;
  /** Two words behind it: 1 when it has begun, 1 when it is to end. */
  readonly state: Int32Array<SharedArrayBuffer>;
}

/** The time, in milliseconds, the same for all threads of the process. */
export function now_ms(): number {
  return performance.timeOrigin + performance.now();
}

/** Says that it began, and waits. */
export function beIdle({ began, state }: IdleTask): void {
  began[0] = now_ms();
  Atomics.store(state, 0, 1);
  while (Atomics.load(state, 1) === 0) Atomics.wait(state, 1, 0);
}
