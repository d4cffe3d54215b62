/**
 * What reader-writer locks have in common: two locks over the same words.
 *
 * @module
 */
import { NumaError } from "../runtime/error.ts";
import type { BlockOptions } from "./block.ts";
import { type Guard, Lock } from "./lock.ts";
import type { LockCore } from "./lock_core.ts";
import type { Region } from "./region.ts";

/** A side of a lock. */
class RwSide extends Lock {
  /** The other one, which this thread must not hold while it acquires this one. */
  other: Lock | undefined;
  readonly #title: string;

  constructor(title: string, core: LockCore, region: Region) {
    super({ title, core: () => core }, region);
    this.#title = title;
  }

  override acquire(options?: BlockOptions): Guard {
    if (this.other?.held === true) this.#refuse();
    return super.acquire(options);
  }

  override tryAcquire(): Guard | undefined {
    if (this.other?.held === true) this.#refuse();
    return super.tryAcquire();
  }

  #refuse(): never {
    throw new NumaError("EDEADLK", `acquire a ${this.#title}`, {
      why: "this thread holds the other side of it",
      fix: "Release that first, and look again at what it guards: others may come in between.",
    });
  }
}

/** Both sides. */
export interface RwSides {
  /** To read: together with others. */
  readonly read: Lock;
  /** To write: alone. */
  readonly write: Lock;
}

/**
 * Makes locks of an algorithm's sides.
 *
 * @param name What the whole is called, as it follows "a".
 * @param core The algorithm.
 * @param core.read To read.
 * @param core.write To write.
 * @param region Its memory.
 * @returns Both.
 */
export function rwSides(
  name: string,
  core: { readonly read: LockCore; readonly write: LockCore },
  region: Region,
): RwSides {
  const read = new RwSide(`${name} to read`, core.read, region);
  const write = new RwSide(`${name} to write`, core.write, region);
  read.other = write;
  write.other = read;
  return { read, write };
}
