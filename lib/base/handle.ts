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

/** What is sent to a thread in place of an object: plain data that can be cloned, without addresses. */
export interface Handle {
  /** Which class it is. */
  readonly numakitHandle: string;
  /** What the class needs to find it again. */
  readonly data: unknown;
}

/** An object that can cross threads. */
export interface Shareable {
  /** Its description. */
  toHandle(): Handle;
}

const revivers = /* @__PURE__ */ new Map<string, (handle: Handle) => unknown>();
const shareable = /* @__PURE__ */ new Set<unknown>();

/**
 * Says how objects of a class come back to life.
 *
 * @param kind The name in {@linkcode Handle.numakitHandle}.
 * @param type The class.
 * @param revive Makes the object; has to check what it is given, because anybody can write a handle.
 * @returns The name, for a field of the class: where a bundler leaves the class out, it leaves this out as well.
 * @throws {NumaError} `EINVAL` a name that another class has.
 */
export function registerKind<Type extends Shareable>(
  kind: string,
  type: { readonly prototype: Type },
  revive: (handle: Handle) => Type,
): string {
  if (revivers.has(kind)) {
    throw new NumaError("EINVAL", `register a class of handles "${kind}"`, {
      why: "another class has that name",
      fix: "Give it another name.",
    });
  }
  revivers.set(kind, revive);
  shareable.add(type.prototype);
  return kind;
}

/**
 * Says that a class has the handles of its superclass.
 *
 * @param type The class.
 * @returns The class.
 */
export function registerSubclass<Type extends { readonly prototype: Shareable }>(type: Type): Type {
  shareable.add(type.prototype);
  return type;
}

function isHandle(value: object): value is Handle {
  try {
    return typeof (value as Partial<Handle>).numakitHandle === "string";
  } catch {
    // A revoked proxy, or a getter that throws.
    return false;
  }
}

/**
 * Opens a handle that somebody gave.
 *
 * @param handle Anything.
 * @param kind The kind it has to be.
 * @param action What was asked, as it follows "Cannot".
 * @returns Its data, still to be checked.
 * @throws {NumaError} `EINVAL` when it is no handle of that kind.
 */
export function handleData(handle: unknown, kind: string, action: string): Record<string, unknown> {
  const fits = typeof handle === "object" && handle !== null && isHandle(handle) &&
    handle.numakitHandle === kind && typeof handle.data === "object" && handle.data !== null;
  if (fits) return handle.data as Record<string, unknown>;
  throw new NumaError("EINVAL", action, {
    why: `${show(handle)} is not a handle of kind "${kind}"`,
    fix: "Give what toHandle() returned.",
  });
}

function revive(handle: Handle): unknown {
  const reviver = revivers.get(handle.numakitHandle);
  if (reviver !== undefined) return reviver(handle);
  throw new NumaError("EINVAL", `attach a handle of kind ${show(handle.numakitHandle)}`, {
    why: "no class of that kind is loaded in this thread",
    fix:
      "Use the class, and not only its type, in a module of this thread: bundlers leave out what " +
      "nobody uses. Both threads have to load the same version of numakit.",
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
 * Replaces every numakit object in a value with its handle, at any depth, for messages to other threads.
 *
 * @param value Anything.
 * @returns A value for `postMessage` or `structuredClone`.
 * @throws {NumaError} The error of an object that can no longer be shared, for example `EDESTROYED`; `EINVAL` when it is
 * nested too deeply.
 *
 * @example
 * ```ts
 * import { Arena, toHandles } from "@numakit/numakit";
 * import { MessageChannel } from "node:worker_threads";
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB" });
 * const { port1, port2 } = new MessageChannel();
 * port1.postMessage(toHandles({ job: 7, memory: arena }));
 * port1.close();
 * port2.close();
 * ```
 */
export function encode(value: unknown): unknown {
  const replace = (object: object): unknown =>
    shareable.has(Object.getPrototypeOf(object)) ? (object as Shareable).toHandle() : undefined;
  return walkAll(value, replace, "send a value to another thread");
}

/** What is nested so deeply that no stack is enough could not be cloned either. */
function walkAll(
  value: unknown,
  replace: (object: object) => unknown,
  action: string,
): unknown {
  try {
    return walk(value, replace, new Map());
  } catch (cause) {
    if (!(cause instanceof RangeError && cause.message.includes("call stack"))) throw cause;
    throw new NumaError("EINVAL", action, {
      why: "it is nested too deeply",
      fix: "Give it fewer levels, or send it as text.",
      cause,
    });
  }
}

/**
 * Replaces every handle in a value with a live object, at any depth, for messages from other threads.
 *
 * @param value What was posted there, with handles in place of numakit's objects.
 * @returns The value with live objects.
 * @throws {NumaError} `ESTALE` when an object is gone; `EINVAL` for a malformed handle.
 *
 * @example
 * ```ts
 * import { Arena, fromHandles, toHandles } from "@numakit/numakit";
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB" });
 * // What another thread gets when this one posts toHandles({ memory: arena }).
 * const received = structuredClone(toHandles({ memory: arena }));
 * const { memory } = fromHandles(received) as { memory: Arena };
 * console.log(memory.node, memory === arena); // 0 true, as it is the same thread
 * ```
 */
export function decode(value: unknown): unknown {
  const replace = (object: object): unknown => isHandle(object) ? revive(object) : undefined;
  return walkAll(value, replace, "receive a value of another thread");
}
