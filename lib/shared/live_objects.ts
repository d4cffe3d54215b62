/**
 * The objects that a thread has made of regions: the same region gives the same object, so that a handle that comes twice
 * is one lock, which knows whether the thread holds it.
 *
 * @module
 */
import type { Region } from "./region.ts";

/** This thread's live objects, by their regions' names. */
const live = new Map<string, { readonly object: WeakRef<object>; readonly words: Int32Array }>();
const forgotten = new FinalizationRegistry<string>((name) => {
  if (live.get(name)?.object.deref() === undefined) live.delete(name);
});

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
