/**
 * Tells the cache-line counter (native/counter) what a program does, in a guest that counts; elsewhere it does nothing. Any
 * program in the checkout may import it. Its README has an example.
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
  if (name === "" || name.includes("\0")) {
    throw new TypeError(
      `Cannot name ${JSON.stringify(name)}: a section or a range has a name, without a zero byte`,
    );
  }
  return new Uint8Array(Buffer.from(`${name}\0`));
}

/**
 * Counts what all threads do meanwhile as a section. It ends whether that succeeds or not.
 *
 * @param name The section: 1 to 127 bytes of UTF-8.
 * @param during What happens in it.
 * @returns What that returned.
 * @throws {TypeError} When the name is empty or has a zero byte.
 */
export async function section<Result>(
  name: string,
  during: () => Result | Promise<Result>,
): Promise<Result> {
  marks().nk_mark_begin(text(name));
  try {
    return await during();
  } finally {
    marks().nk_mark_end();
  }
}

/**
 * Names memory, so that accesses to it are counted apart.
 *
 * @param name The range: 1 to 127 bytes of UTF-8.
 * @param view The memory, shared or not: all of its pages have been written. An empty one names nothing.
 * @throws {TypeError} When the name is empty or has a zero byte.
 */
export function range(name: string, view: ArrayBufferView): void {
  const named = text(name);
  // Runtimes differ in what C sees of an empty view.
  if (view.byteLength === 0) return;
  const bytes = view instanceof Uint8Array
    ? view
    : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  marks().nk_mark_range(named, bytes, bytes.byteLength);
}
