/** For how many threads, in how many L3 domains, a lock or counter has room. */
export interface Shape {
  /** Threads: those whose slot is below it may use it. */
  readonly threads: number;
  /** L3 domains, at least 1. */
  readonly domains: number;
}
