import { showAs } from "../../base/inspect.ts";
import type { Reader } from "./left_right.ts";

/**
 * A version of a `Replicated` that stays as it is until `release`: what `Replicated.local` gave.
 *
 * @example
 * ```ts
 * import { Replicated } from "@numakit/numakit";
 *
 * using table = Replicated.create({ data: Uint8Array.of(1, 2, 3) });
 * {
 *   using snapshot = table.local(); // the copy on this thread's node
 *   console.log(snapshot.bytes[0], snapshot.version); // 1 0
 * }
 * table.update((next) => next[0] = 9);
 * ```
 */
export class ReplicaSnapshot {
  static readonly #shown = /* @__PURE__ */ showAs(ReplicaSnapshot, String);
  /** The bytes, on the node of the copy. For reading, until `release`: nothing can keep JavaScript from the rest. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Which version it is, from 0 to 2^32 - 1. */
  readonly version: number;
  /** The node of its memory. */
  readonly node: number;
  #reader: Reader | undefined;

  /** For internal use: call `Replicated.local` instead. */
  constructor(bytes: Uint8Array<ArrayBuffer>, version: number, node: number, reader: Reader) {
    void ReplicaSnapshot.#shown;
    this.bytes = bytes;
    this.version = version;
    this.node = node;
    this.#reader = reader;
  }

  /** Releases the version. Calling it twice has no further effect. */
  release(): void {
    this.#reader?.leave(this.version & 1);
    this.#reader = undefined;
  }

  /** {@linkcode release}, for `using`. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** Returns a short text for logs. */
  toString(): string {
    const state = this.#reader === undefined ? ", released" : "";
    return `ReplicaSnapshot(version ${this.version} on node ${this.node}${state})`;
  }
}
