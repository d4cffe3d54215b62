/**
 * Taking all keys out of a map.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";

/**
 * Takes keys out, one after the other.
 *
 * @param keys The keys that are there.
 * @param remove Takes one out.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EBADMSG` a key is none of the map's type. What `remove` throws otherwise.
 */
export function clearKeys<Key>(
  keys: Iterable<Key>,
  remove: (key: Key) => void,
  action: string,
): void {
  for (const key of keys) {
    try {
      remove(key);
    } catch (cause) {
      if (!(cause instanceof NumaError) || cause.code !== "EINVAL") throw cause;
      throw new NumaError("EBADMSG", action, {
        why: "a key in its memory is none of its type: the memory was overwritten",
        fix: "Create another map, and look for code that writes outside of what it was given.",
        cause,
      });
    }
  }
}
