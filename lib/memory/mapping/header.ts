/**
 * Texts in a mapping's header: UTF-8 up to the first zero byte. Any thread may scribble there, so whatever is read is
 * text, and nothing but text.
 *
 * @module
 */

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder();

/**
 * Writes a text into a fresh header, cut to what fits.
 *
 * @param buffer The mapping's first buffer.
 * @param offset Where the text begins.
 * @param bytes Room for it, its zero byte included.
 * @param text The text.
 */
export function writeText(buffer: ArrayBuffer, offset: number, bytes: number, text: string): void {
  encoder.encodeInto(text, new Uint8Array(buffer, offset, bytes - 1));
}

/**
 * Reads a text from a header.
 *
 * @param buffer The mapping's first buffer.
 * @param offset Where the text begins.
 * @param bytes Room for it, its zero byte included.
 * @returns The text.
 */
export function readText(buffer: ArrayBuffer, offset: number, bytes: number): string {
  const all = new Uint8Array(buffer, offset, bytes);
  const end = all.indexOf(0);
  // A copy, because some decoders refuse memory that other threads can write.
  return decoder.decode(all.slice(0, end < 0 ? bytes : end));
}

/**
 * A text as the C helper takes it.
 *
 * @param text The text, without zero bytes.
 * @returns UTF-8 with a zero byte behind it.
 */
export function nulTerminated(text: string): Uint8Array {
  return encoder.encode(`${text}\0`);
}
