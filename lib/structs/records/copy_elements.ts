/**
 * Copies elements of typed arrays without allocating, where `target.set(source.subarray(…))` makes a view.
 *
 * There is a function for each kind of array: engines compile a loop for the arrays that it has seen.
 *
 * @module
 */

/** A view costs about as much as so many elements in a loop. */
const LOOP = 256;

/** Whether a loop from the first element to the last one would overwrite what it has yet to read. */
function runsInto<View extends Uint8Array | Int32Array>(
  source: View,
  from: number,
  target: View,
  to: number,
  count: number,
): boolean {
  if (source.buffer !== target.buffer) return false;
  const { BYTES_PER_ELEMENT: size } = source;
  const ahead = target.byteOffset + to * size - (source.byteOffset + from * size);
  return ahead > 0 && ahead < count * size;
}

/**
 * Copies bytes. The two ranges may overlap.
 *
 * @param source Where from.
 * @param from The index of the first one there.
 * @param target Where to.
 * @param to The index of the first one there.
 * @param count How many: both arrays have as many from there on.
 */
export function copyBytes(
  source: Uint8Array,
  from: number,
  target: Uint8Array,
  to: number,
  count: number,
): void {
  if (count > LOOP || runsInto(source, from, target, to, count)) {
    target.set(source.subarray(from, from + count), to);
  } else {
    for (let at = 0; at < count; at++) target[to + at] = source[from + at] as number;
  }
}

/**
 * Copies 32-bit words as {@linkcode copyBytes} copies bytes.
 *
 * @param source Where from.
 * @param from The index of the first one there.
 * @param target Where to.
 * @param to The index of the first one there.
 * @param count How many: both arrays have as many from there on.
 */
export function copyWords(
  source: Int32Array,
  from: number,
  target: Int32Array,
  to: number,
  count: number,
): void {
  if (count > LOOP || runsInto(source, from, target, to, count)) {
    target.set(source.subarray(from, from + count), to);
  } else {
    for (let at = 0; at < count; at++) target[to + at] = source[from + at] as number;
  }
}
