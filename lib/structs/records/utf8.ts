/**
 * Texts as bytes of UTF-8. `TextEncoder` allocates an object for each text, and takes no shared memory on some
 * runtimes.
 *
 * @module
 */

/** In place of a length: half of a surrogate pair, which UTF-8 has no bytes for. */
export const LONE_SURROGATE: number = -1;
/** In place of a length: a character U+0000, which ends a text in C. */
export const HAS_ZERO: number = -2;

/**
 * How many bytes a text takes.
 *
 * @param text The text.
 * @param limit It counts no further than to a number above this one.
 * @returns Bytes, or {@linkcode LONE_SURROGATE}, or {@linkcode HAS_ZERO}.
 */
export function utf8Length(text: string, limit: number): number {
  let bytes = 0;
  for (let at = 0; at < text.length && bytes <= limit; at++) {
    const unit = text.charCodeAt(at);
    if (unit === 0) return HAS_ZERO;
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 3;
    else if (isPair(unit, text.charCodeAt(++at))) bytes += 4;
    else return LONE_SURROGATE;
  }
  return bytes;
}

/** Whether two units are a surrogate pair. The second one is NaN behind the end of a text. */
function isPair(high: number, low: number): boolean {
  return high < 0xdc00 && low >= 0xdc00 && low <= 0xdfff;
}

/**
 * Writes a text of which {@linkcode utf8Length} has found a length.
 *
 * @param text The text.
 * @param target Where its bytes go.
 * @param start The index of the first one.
 * @returns The index after the last one.
 */
export function utf8Write(text: string, target: Uint8Array, start: number): number {
  let to = start;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) {
      target[to++] = unit;
    } else if (unit < 0x800) {
      target[to++] = 0xc0 | (unit >> 6);
      target[to++] = 0x80 | (unit & 0x3f);
    } else if (unit < 0xd800 || unit > 0xdfff) {
      target[to++] = 0xe0 | (unit >> 12);
      target[to++] = 0x80 | ((unit >> 6) & 0x3f);
      target[to++] = 0x80 | (unit & 0x3f);
    } else {
      const point = 0x1_0000 + ((unit & 0x3ff) << 10) + (text.charCodeAt(++at) & 0x3ff);
      target[to++] = 0xf0 | (point >> 18);
      target[to++] = 0x80 | ((point >> 12) & 0x3f);
      target[to++] = 0x80 | ((point >> 6) & 0x3f);
      target[to++] = 0x80 | (point & 0x3f);
    }
  }
  return to;
}

// A mark of the byte order is a character like any other here.
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Reads a text that ends at the first zero, or with the bytes.
 *
 * @param bytes Its bytes, shared or not.
 * @param start The index of the first one.
 * @param end The index after the last one.
 * @returns The text, with U+FFFD for what is no UTF-8.
 */
export function utf8Read(bytes: Uint8Array, start: number, end: number): string {
  // A copy: other threads may write meanwhile, and not every runtime decodes shared memory.
  const copy = bytes.slice(start, end);
  const zero = copy.indexOf(0);
  return decoder.decode(zero < 0 ? copy : copy.subarray(0, zero));
}
