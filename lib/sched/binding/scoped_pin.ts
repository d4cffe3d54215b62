import { showAs } from "../../base/inspect.ts";
import { readOptions } from "../../base/options.ts";
import { type BindStrengths, checkStrengths, type ThreadBinding } from "./binding.ts";
import { checkPolicy, choosePlace } from "../policies/chosen.ts";
import { type HeapSample, sampleHeap } from "./heap_sample.ts";
import { spareHelpers } from "../helpers.ts";
import { takeAnotherPlace } from "./layers.ts";
import type { ThreadPlacement } from "../policies/plan.ts";
import type { Policy } from "../policies/policy.ts";

/** How {@linkcode pin} pins. */
export interface PinOptions {
  /**
   * The index of its place in the policy, from 0 to 65,534. Default: the lowest that no thread which this one launched, and
   * no other pin of this thread, has with an equal policy.
   */
  readonly place?: number;
  /** How hard the thread is bound to CPUs and to memory. Default: `{ cpus: "require", memory: "prefer" }`. */
  readonly bind?: BindStrengths;
}

/**
 * The place of the calling thread until `release` or the end of a `using` block. {@linkcode pin} makes one.
 *
 * Pins may nest. The newest counts. When it is released, what was there before it is there again: affinity and memory
 * policy, as the kernel had them. A pin that is released while there is a newer one changes nothing then; what was there
 * before it comes back with the end of the newer one. What others have changed meanwhile, such as `taskset -p`, stays.
 *
 * It belongs to the thread that made it, and is not sent to others. One that is garbage-collected is not released.
 *
 * @example
 * ```ts
 * import { pin } from "@numakit/numakit";
 *
 * {
 *   using place = pin("node:0");
 *   console.log(`${place.placement.cpus}`, place.binding.cpus.got); // this thread's CPUs
 * }
 * // It may run where it could before.
 * ```
 */
export class Pin {
  static readonly #shown = /* @__PURE__ */ showAs(Pin, String);
  /** The policy. */
  readonly policy: Policy;
  /** The place that the policy gave. */
  readonly placement: ThreadPlacement;
  /** What came of it. */
  readonly binding: ThreadBinding;
  readonly #undo: () => void;
  readonly #left: () => void;
  #released = false;

  /** For internal use: call `pin` instead. */
  constructor(
    policy: Policy,
    { placement, binding, undo, left }: {
      placement: ThreadPlacement;
      binding: ThreadBinding;
      undo: () => void;
      left: () => void;
    },
  ) {
    void Pin.#shown;
    this.policy = policy;
    this.placement = placement;
    this.binding = binding;
    this.#undo = undo;
    this.#left = left;
  }

  /** Whether it was released. */
  get released(): boolean {
    return this.#released;
  }

  /**
   * Samples where the memory comes from that the runtime gives this thread.
   *
   * Cost: 2 MiB of new buffers and about 50 system calls, a few milliseconds.
   *
   * @returns As {@linkcode Thread.sampleHeap}.
   * @throws {NumaError} `EPERM` the system does not say (a default container); `ENOSYS`, `ENOMEM`.
   */
  sampleHeap(): HeapSample {
    return sampleHeap();
  }

  /**
   * Restores what was there before. Calling it twice has no further effect.
   *
   * @throws {NumaError} `EACCES` none of the CPUs that the thread had before may be used any more: it stays where it is, and
   * this can be tried again.
   */
  release(): void {
    if (this.#released) return;
    this.#undo();
    this.#released = true;
    this.#left();
  }

  /** {@linkcode release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Returns a short text for logs. */
  toString(): string {
    const { got } = this.binding.cpus;
    return `Pin(${this.policy} on CPUs ${got}${this.#released ? "; undone" : ""})`;
  }
}

/**
 * Pins the calling thread, the main thread or a worker, until the pin is released.
 *
 * It never widens what the process was given: CPUs outside of the affinity or the cpuset of the thread are refused. Threads
 * that it launches meanwhile run where their own policies say. What it starts otherwise, such as child processes and plain
 * Workers, inherits the pin: see {@linkcode unpinned}. In an asynchronous function, whatever runs in the thread until the
 * pin is released runs pinned.
 *
 * @param policy Where to: the place that the policy gives one thread. `Policy.unbound()` takes the thread off what numakit
 * has pinned it to.
 * @param options Which place, and how hard.
 * @returns The pin, with a report of what came of it.
 * @throws {NumaError} `EINVAL` a bad argument; `ENODEV` no such node or CPU, or memory is required of a place that has no
 * node; `EACCES` CPUs that may not be used; `EAGAIN` no exclusive cores are left; `EPERM` the system refuses what is
 * required. The thread is then where it was.
 *
 * @example
 * ```ts
 * import { pin, Policy } from "@numakit/numakit";
 *
 * {
 *   using pinned = pin(Policy.bindNode(0), { bind: { cpus: "prefer" } });
 *   console.log(`on CPUs ${pinned.binding.cpus.got}`);
 * } // where it was
 * ```
 */
export function pin(policy: Policy | string, options: PinOptions = {}): Pin {
  const action = "pin this thread";
  const known = checkPolicy(policy, action);
  const { place, bind = {} } = readOptions(options, ["place", "bind"], action);
  const strengths = checkStrengths(bind, action);
  const { placement, wish, free } = choosePlace(known, strengths, place, action);
  // Those are born where the thread is now.
  const spared = wish.cpus !== undefined && strengths.cpus !== "off" ? spareHelpers() : () => {};
  const left = (): void => {
    free();
    spared();
  };
  try {
    const { made, undo } = takeAnotherPlace(wish);
    return new Pin(known, { placement, binding: made, undo, left });
  } catch (error) {
    left();
    throw error;
  }
}
