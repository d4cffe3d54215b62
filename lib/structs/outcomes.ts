/**
 * What becomes of attempts that several structures have in common.
 *
 * @module
 */

/** Nothing was done: another thread is in the middle of the same kind of operation. */
export const BUSY = -1;
