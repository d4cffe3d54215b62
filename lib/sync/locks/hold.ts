import type { BlockOptions } from "../../wait/options.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { Guard } from "./guard.ts";

/** What the hot methods of a class leave to {@linkcode Lock}, which has them once for all. */
export interface SlowPaths {
  /** Waits for the lock after the core's `begin` returned false. */
  wait(): void;
  /** Refuses a release by a thread that does not hold the lock. */
  refuse(): never;
  /** Turns an error of the core into the one to throw: the lock's memory may be gone. */
  explain(verb: string, error: unknown): unknown;
}

/**
 * What a thread knows of a lock: whether it holds it, and all that taking it and giving it back need.
 *
 * Engines compile a method for the classes of objects that it has seen. With one `acquire` for all locks, a thread that
 * uses several kinds of them has an `acquire` that is compiled for none, and costs up to five times as much. So each class
 * has an `acquire` and a `release` of its own, over a core of its own class and an object of this one
 * (`tests/house/hot_methods_test.ts` compares them).
 */
export class Hold {
  /** Whether the thread holds the lock. Acquisitions by `acquireAsync` do not count. */
  held: boolean;
  /** Whether acquisitions are counted, which takes the slow way. */
  readonly counts: boolean;
  /** The thread. */
  readonly me: ThreadWaiter;
  /** The guard of this thread's acquisitions: the same object each time. */
  readonly guard: Guard;
  /** What is done once for all classes. */
  readonly slow: SlowPaths;
  /** The hold of the lock that the thread must not hold as well: the other side of a reader-writer lock. Default: this. */
  other: Hold = this;

  /**
   * @param held Whether the thread holds the lock.
   * @param counts Whether acquisitions are counted.
   * @param me The thread.
   * @param guard The guard of its acquisitions.
   * @param slow What is done once for all classes.
   */
  constructor(held: boolean, counts: boolean, me: ThreadWaiter, guard: Guard, slow: SlowPaths) {
    this.held = held;
    this.counts = counts;
    this.me = me;
    this.guard = guard;
    this.slow = slow;
  }

  /**
   * Whether an acquisition takes the slow way, which looks at everything.
   *
   * @param options What the call was given.
   * @returns False where there is nothing but the core to ask.
   */
  needsCare(options: BlockOptions | undefined): boolean {
    return options !== undefined || this.held || this.counts || this.other.held;
  }
}

/** What this thread knows of each of its locks. */
export const holds: WeakMap<object, Hold> = /* @__PURE__ */ new WeakMap();

/**
 * What this thread knows of a lock, for the hot methods of its class.
 *
 * @param lock The lock.
 * @returns The same object each time.
 */
export function holdOf(lock: object): Hold {
  return holds.get(lock) as Hold;
}
