/** Statistics of a lock. They are exact if no thread uses it at that moment. */
export interface LockReport {
  /** The number of acquisitions. */
  readonly acquisitions: number;
  /** The number of acquisitions that did not succeed at the first attempt. */
  readonly contended: number;
  /** The number of those that had to sleep. */
  readonly parked: number;
  /** The number of times it went from one thread to another of the same L3 domain. */
  readonly handoffsWithin: number;
  /** The number of times it went to a thread of another L3 domain. */
  readonly handoffsAcross: number;
  /** The longest time that a thread held it, in milliseconds. */
  readonly longestHoldMs: number;
}
