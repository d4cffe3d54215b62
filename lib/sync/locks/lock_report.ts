/** What has happened to a lock. Counts are exact when nobody uses it at the moment of asking. */
export interface LockReport {
  /** How often it was acquired. */
  readonly acquisitions: number;
  /** How many of these were not at the first try. */
  readonly contended: number;
  /** How many of those had to sleep. */
  readonly parked: number;
  /** How often it went from one thread to another of the same L3 domain. */
  readonly handoffsWithin: number;
  /** How often it went to a thread of another L3 domain. */
  readonly handoffsAcross: number;
  /** The longest time somebody held it, in milliseconds. */
  readonly longestHoldMs: number;
}
