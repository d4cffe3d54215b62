/**
 * What the copies of numakit in a thread have in common: a bundle beside node_modules, or a test runner that loads
 * modules anew. It is on the global object, and made on first use.
 *
 * @module
 */
import { VERSION } from "./version.ts";

/** A mapping that a copy holds. */
export interface HeldMapping {
  /** The version of the copy. */
  readonly version: string;
  /** The copy's object. */
  readonly mapping: object;
}

/** What every copy has to know of the others, whatever their versions: the system knows only threads. */
interface AllCopies {
  /** What the thread holds, by identity. */
  readonly mappings: Map<number, HeldMapping>;
}

/** What copies of one version have in common. */
export interface SameCopies {
  /** The process's parking lot: threads of different lots cannot wake each other. */
  lot?: SharedArrayBuffer;
  /** The thread's id in it. */
  id?: number;
}

const ALL = /* @__PURE__ */ Symbol.for("numakit");
const SAME = /* @__PURE__ */ Symbol.for(`numakit ${VERSION}`);

const shared = globalThis as unknown as { [ALL]?: AllCopies; [SAME]?: SameCopies };

/** What all copies in this thread share. */
export function allCopies(): AllCopies {
  return shared[ALL] ??= { mappings: new Map() };
}

/** What the copies of this version in this thread share. */
export function sameCopies(): SameCopies {
  return shared[SAME] ??= {};
}
