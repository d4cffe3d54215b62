/**
 * What reader-writer locks have in common: two locks over the same words.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { decode, type Handle, handleData, registerKind } from "../../base/handle.ts";
import type { Guard } from "../locks/guard.ts";
import { holdOf } from "../locks/hold.ts";
import { Lock, type LockTraits } from "../locks/lock.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { LockStatistics, SharedLockStatistics } from "../locks/lock_statistics.ts";
import type { Region } from "../../shared/region.ts";
import type { LockCore } from "../locks/lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import type { Turns } from "../../wait/turns.ts";
import { LINE_WORDS } from "../../wait/waiter.ts";

const KIND = "RwSide";

/** A line for writing, and one for each thread that reads. */
const RECORDERS: Readonly<Record<keyof RwSides, LockTraits["recorder"]>> = {
  read: (words) => new SharedLockStatistics(words.subarray(LINE_WORDS)),
  write: (words) => new LockStatistics(words),
};

/**
 * The words of both sides' statistics.
 *
 * @param shape The number of threads and domains it is made for.
 * @returns 32-bit words.
 */
export function rwStatisticsWords({ threads }: Shape): number {
  return (1 + threads) * LINE_WORDS;
}

/** What the sides of a lock have in common. */
export interface RwParts {
  /** The lock. */
  readonly whole: object;
  /** Its memory. */
  readonly region: Region;
  /** The turns of the thread's asynchronous waits: a thread has one entry for both sides. */
  readonly turns: Turns;
}

function revive(handle: Handle): RwSide {
  const action = "attach a side of a reader-writer lock";
  const { whole, side } = handleData(handle, KIND, action);
  const found = (decode(whole) as Record<string, unknown> | undefined)?.[String(side)];
  if (found instanceof RwSide) return found;
  throw new NumaError("EINVAL", action, {
    why: "the handle refers to an object of another kind",
    fix: "Give what toHandle() returned.",
  });
}

/** A side of a lock. Each class of locks has classes of its own for its sides, for their hot methods. */
export abstract class RwSide extends Lock {
  static readonly #kind = /* @__PURE__ */ registerKind(KIND, RwSide, revive);
  /** The lock, which lives as long as a side or guard of it, so that its handle finds these same sides. */
  readonly whole: object;
  /** The other one, which this thread must not hold while it acquires this one. */
  other: RwSide | undefined;
  readonly #title: string;
  readonly #side: keyof RwSides;

  /**
   * @param side Which of the two.
   * @param parts What both have.
   * @param core Its algorithm.
   * @param release As {@linkcode Lock} takes it.
   */
  protected constructor(side: keyof RwSides, parts: RwParts, core: LockCore, release: () => void) {
    const { whole, region, turns } = parts;
    const title = `${region.title} to ${side}`;
    super({ title, recorder: RECORDERS[side], turns }, region, core, release);
    this.whole = whole;
    this.#title = title;
    this.#side = side;
  }

  override acquire(options?: BlockOptions): Guard {
    // Before it begins to wait: a thread has one entry for both sides.
    this.checkWait();
    return super.acquire(options);
  }

  override toHandle(): Handle {
    return { numakitHandle: RwSide.#kind, data: { whole: super.toHandle(), side: this.#side } };
  }

  protected override checkWait(): void {
    if (this.other?.held !== true) return;
    throw new NumaError("EDEADLK", `acquire ${this.#title}`, {
      why: "this thread holds the other side of it",
      fix: "Release that first, and look again at what it guards: others may come in between.",
    });
  }
}

/** Both sides. */
export interface RwSides {
  /** The lock for reading, which several threads can hold together. */
  readonly read: Lock;
  /** The lock for writing, which one thread holds alone. */
  readonly write: Lock;
}

/**
 * Tells the sides of a lock of each other.
 *
 * @param read The side to read.
 * @param write The side to write.
 */
export function pair(read: RwSide, write: RwSide): void {
  for (const [side, other] of [[read, write], [write, read]] as const) {
    side.other = other;
    holdOf(side).other = holdOf(other);
  }
}
