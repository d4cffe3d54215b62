import type { LockReport } from "./lock_report.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { LINE_WORDS } from "../../wait/waiter.ts";

/** 64-bit fields. All are written by the holder alone, so the lock itself keeps them in order. */
const FIELD = {
  acquisitions: 0,
  contended: 1,
  parked: 2,
  within: 3,
  across: 4,
  longestHoldMs: 5,
  since: 6,
  lastThread: 7,
  lastDomain: 8,
  fields: 9,
} as const;

/** Counts what happens to a lock. */
export interface Recorder {
  /**
   * Counts an acquisition, by its holder.
   *
   * @param me The holder.
   * @param contended Whether it did not get it at the first try.
   * @param parked Whether it had to sleep.
   */
  acquired(me: ThreadWaiter, contended: boolean, parked: boolean): void;
  /**
   * Notes how long it was held, by its holder.
   *
   * @param me The holder; anybody else is ignored.
   */
  released(me: ThreadWaiter): void;
  /**
   * What was counted.
   *
   * @returns Figures that fit together when nobody uses the lock.
   */
  report(): LockReport;
}

/** For a lock that one thread holds at a time: counts in a line of its memory. */
export class LockStatistics implements Recorder {
  readonly #fields: Float64Array;

  /**
   * Counts in words that are zero at first.
   *
   * @param words A line, at a multiple of eight bytes.
   */
  constructor(words: Int32Array) {
    this.#fields = new Float64Array(words.buffer, words.byteOffset, FIELD.fields);
  }

  acquired(me: ThreadWaiter, contended: boolean, parked: boolean): void {
    const fields = this.#fields;
    const count = (field: number): void => {
      fields[field] = (fields[field] as number) + 1;
    };
    const last = fields[FIELD.lastThread] as number;
    count(FIELD.acquisitions);
    if (contended) count(FIELD.contended);
    if (parked) count(FIELD.parked);
    if (last !== 0 && last !== me.id) {
      count(fields[FIELD.lastDomain] === me.domain ? FIELD.within : FIELD.across);
    }
    fields[FIELD.lastThread] = me.id;
    fields[FIELD.lastDomain] = me.domain;
    fields[FIELD.since] = me.now();
  }

  released(me: ThreadWaiter): void {
    const fields = this.#fields;
    if (fields[FIELD.lastThread] !== me.id) return;
    const held = me.now() - (fields[FIELD.since] as number);
    if (held > (fields[FIELD.longestHoldMs] as number)) fields[FIELD.longestHoldMs] = held;
  }

  report(): LockReport {
    const field = (index: number): number => this.#fields[index] as number;
    return {
      acquisitions: field(FIELD.acquisitions),
      contended: field(FIELD.contended),
      parked: field(FIELD.parked),
      handoffsWithin: field(FIELD.within),
      handoffsAcross: field(FIELD.across),
      longestHoldMs: field(FIELD.longestHoldMs),
    };
  }
}

/** For a lock that many hold at once: each counts in a line of its own, and nothing is handed on. */
export class SharedLockStatistics implements Recorder {
  readonly #lines: readonly LockStatistics[];

  /**
   * Counts in words that are zero at first.
   *
   * @param words A line a thread, at a multiple of eight bytes.
   */
  constructor(words: Int32Array) {
    this.#lines = Array.from(
      { length: words.length / LINE_WORDS },
      (_, slot) => new LockStatistics(words.subarray(slot * LINE_WORDS)),
    );
  }

  acquired(me: ThreadWaiter, contended: boolean, parked: boolean): void {
    this.#lines[me.slot]?.acquired(me, contended, parked);
  }

  released(me: ThreadWaiter): void {
    this.#lines[me.slot]?.released(me);
  }

  report(): LockReport {
    const reports = this.#lines.map((line) => line.report());
    const sum = (of: (report: LockReport) => number): number =>
      reports.reduce((total, report) => total + of(report), 0);
    return {
      acquisitions: sum(({ acquisitions }) => acquisitions),
      contended: sum(({ contended }) => contended),
      parked: sum(({ parked }) => parked),
      handoffsWithin: 0,
      handoffsAcross: 0,
      longestHoldMs: Math.max(...reports.map(({ longestHoldMs }) => longestHoldMs)),
    };
  }
}
