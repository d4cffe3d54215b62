/**
 * Handles: how live objects cross threads.
 *
 * An object that lives in shared memory says how to describe itself (a kind and some plain data, never an address),
 * and registers how to come back to life from that. `encode` and `decode` do it at any depth inside plain objects,
 * arrays, Maps and Sets; everything else is left to the structured clone algorithm.
 *
 * @module
 */
import { show } from "./check.ts";
import { NumaError } from "./error.ts";

/** The method with which an object describes itself: see {@linkcode Shareable}. */
export const toHandle: unique symbol = Symbol.for("numakit.toHandle") as never;

/** What crosses between threads in place of an object: plain, structured-cloneable, without addresses. */
export interface Handle {
  /** Which class it is. */
  readonly numakitHandle: string;
  /** What the class needs to find it again. */
  readonly data: unknown;
}

/** An object that can cross threads. */
export interface Shareable {
  /** Its description. */
  [toHandle](): Handle;
}

const kinds = new Map<string, (data: unknown) => unknown>();

/**
 * Says how objects of a kind come back to life.
 *
 * @param kind The name in {@linkcode Handle.numakitHandle}.
 * @param revive Makes the object of the data; has to check it, because anybody can write a handle.
 */
export function registerKind(kind: string, revive: (data: unknown) => unknown): void {
  kinds.set(kind, revive);
}

function isHandle(value: object): value is Handle {
  return typeof (value as Partial<Handle>).numakitHandle === "string";
}

function revive(handle: Handle): unknown {
  const reviver = kinds.get(handle.numakitHandle);
  if (reviver !== undefined) return reviver(handle.data);
  throw new NumaError("EINVAL", `attach a handle of kind ${show(handle.numakitHandle)}`, {
    why: "this version of numakit knows no such kind",
    fix: "Both threads have to load the same version of numakit.",
  });
}

type Replace = (value: object) => unknown;

/** Copies plain containers, replacing what `replace` answers for; `seen` keeps cycles and shared parts as they are. */
function walk(value: unknown, replace: Replace, seen: Map<object, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  const replaced = replace(value);
  if (replaced !== undefined) {
    seen.set(value, replaced);
    return replaced;
  }
  const remember = <Copy extends object>(copy: Copy): Copy => {
    seen.set(value, copy);
    return copy;
  };
  if (Array.isArray(value)) {
    const copy = remember(new Array<unknown>(value.length));
    for (const key of value.keys()) if (key in value) copy[key] = walk(value[key], replace, seen);
    return copy;
  }
  if (value instanceof Map) {
    const copy = remember(new Map<unknown, unknown>());
    for (const [key, item] of value) copy.set(walk(key, replace, seen), walk(item, replace, seen));
    return copy;
  }
  if (value instanceof Set) {
    const copy = remember(new Set<unknown>());
    for (const item of value) copy.add(walk(item, replace, seen));
    return copy;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy = remember({} as Record<string, unknown>);
  for (const [key, item] of Object.entries(value)) {
    // Not an assignment: "__proto__" is a name like any other here.
    Object.defineProperty(copy, key, {
      value: walk(item, replace, seen),
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return copy;
}

/**
 * Replaces every {@linkcode Shareable} in a value by its handle.
 *
 * @param value Anything.
 * @returns A value for the structured clone algorithm.
 * @throws {NumaError} What an object throws that cannot be shared any more, for example `EDESTROYED`.
 */
export function encode(value: unknown): unknown {
  return walk(value, (object) => (object as Partial<Shareable>)[toHandle]?.(), new Map());
}

/**
 * Replaces every handle in a value by a live object.
 *
 * @param value What {@linkcode encode} made, after it was cloned.
 * @returns The value with live objects.
 * @throws {NumaError} `ESTALE` when an object is gone; `EINVAL` for a malformed handle.
 */
export function decode(value: unknown): unknown {
  return walk(value, (object) => isHandle(object) ? revive(object) : undefined, new Map());
}
