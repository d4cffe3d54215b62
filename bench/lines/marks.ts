/**
 * Tells the cache-line counter (native/counter) what a program does, in a guest that counts.
 */
import { Buffer } from "node:buffer";
import { fileURLToPath } from "node:url";
import { detectBackend } from "../../lib/runtime/detect.ts";
import type { Calls } from "../../lib/runtime/symbols.ts";

const SYMBOLS = {
  nk_mark_begin: { args: ["buffer"], returns: "i32" },
  nk_mark_end: { args: [], returns: "i32" },
  nk_mark_range: { args: ["buffer", "buffer", "u64"], returns: "i32" },
} as const;

let opened: Calls<typeof SYMBOLS> | undefined;

function marks(): Calls<typeof SYMBOLS> {
  const path = new URL("../../build/counter/mark.so", import.meta.url);
  return opened ??= detectBackend().open(fileURLToPath(path), SYMBOLS);
}

function text(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(`${name}\0`));
}

/**
 * Counts what all threads do meanwhile as a section.
 *
 * @param name The section.
 * @param during What happens in it.
 */
export async function section(name: string, during: () => Promise<void>): Promise<void> {
  marks().nk_mark_begin(text(name));
  await during();
  marks().nk_mark_end();
}

/**
 * Names memory, so that accesses to it are counted apart.
 *
 * @param name The range.
 * @param bytes Its bytes: all pages have been written.
 */
export function range(name: string, bytes: Uint8Array<ArrayBuffer>): void {
  marks().nk_mark_range(text(name), bytes, bytes.byteLength);
}
