/**
 * The objects that a thread has made of regions: the same region gives the same object, so that a handle that comes twice
 * is one lock, which knows whether the thread holds it.
 *
 * An object may be collected, and its handle make another, while the thread holds what it stands for. Nothing is lost:
 *
 * - What the words tell is read from them: that the thread holds a lock, takes part in a barrier, is inside an epoch. The
 *   new object knows it, and so does the tenant that is told when the arena goes.
 * - What only an object knows keeps it alive: a guard, a side of a reader-writer lock, asynchronous calls that wait or
 *   hold it (`lib/wait/keep_alive.ts`).
 * - What neither can tell without making a call slower outlives the object, and the next one gets it
 *   ({@linkcode remembered}).
 *
 * @module
 */
import type { Region } from "./region.ts";

/** This thread's live objects, by their regions' names. */
const live = /* @__PURE__ */ new Map<
  string,
  { readonly object: WeakRef<object>; readonly words: Int32Array }
>();
const forgotten = /* @__PURE__ */ new FinalizationRegistry<string>((name) => {
  if (live.get(name)?.object.deref() !== undefined) return;
  live.delete(name);
  const { words, memory } = memories.get(name) ?? {};
  if (words?.length === 0 || memory?.isUsed() !== true) memories.delete(name);
});

/** What may outlive an object. */
export interface Memory {
  /** Whether it must, because it knows of something. */
  isUsed(): boolean;
}

/** This thread's, by the names of their regions. */
const memories = /* @__PURE__ */ new Map<
  string,
  { readonly memory: Memory; readonly words: Int32Array }
>();

/**
 * Makes an object of a region, or finds the one that this thread has made of it before.
 *
 * @typeParam Type The object's class.
 * @param region The region.
 * @param make Makes the object.
 * @returns The object: one a thread.
 */
export function oneOf<Type extends object>(region: Region, make: (region: Region) => Type): Type {
  const { name } = region;
  // The name begins with the kind, so what is found is of the right class.
  const entry = live.get(name);
  const known = entry?.object.deref() as Type | undefined;
  // One whose arena was destroyed in this thread stays so, and the arena may be back.
  if (known !== undefined && (entry?.words.length ?? 0) > 0) return known;
  const object = make(region);
  live.set(name, { object: new WeakRef(object), words: region.words });
  forgotten.register(object, name);
  return object;
}

/**
 * What this thread knows of a region and the region's words do not tell. It outlives the region's object while it is used:
 * the next object gets it.
 *
 * @typeParam Type What that is. Must not refer to the object.
 * @param region The region, of an object that {@linkcode oneOf} makes.
 * @param make Makes one that knows of nothing.
 * @returns It: one a thread.
 */
export function remembered<Type extends Memory>(region: Region, make: () => Type): Type {
  const { name, words } = region;
  const known = memories.get(name);
  if (known !== undefined && known.words.length > 0) return known.memory as Type;
  const memory = make();
  memories.set(name, { memory, words });
  return memory;
}
