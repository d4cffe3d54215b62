import { type Backend, readAway, type SharedHelpers, transferAway, translate } from "./backend.ts";
import type { Calls, SymbolTable } from "./symbols.ts";

/** The part of `bun:ffi` that is used here. */
interface BunFfi {
  dlopen(
    path: string,
    symbols: Record<string, { args: readonly string[]; returns: string }>,
  ): { symbols: unknown };
  toArrayBuffer(address: number, byteOffset: number, byteLength: number): ArrayBuffer;
}

/** `u64` would take and give BigInts; `u64_fast` takes numbers as they are. */
const TYPES = { i32: "i32", u64: "u64_fast", buffer: "buffer" } as const;

/**
 * Bun answers the transfer of a buffer that native code uses with a copy of all of it, which takes 0.8 s and the memory
 * for each GiB, reserved or committed. A stream leaves such a buffer alone, but takes longer than to copy so little.
 */
const LITTLE_BYTES = 2 ** 21;

function detach(buffer: ArrayBuffer): void {
  if (buffer.byteLength <= LITTLE_BYTES) transferAway(buffer);
  else readAway(buffer);
}

/** The part of Bun's globals that is used here. */
interface Globals {
  Bun: { gc(wait: boolean): void };
  WebAssembly: { compile(bytes: Uint8Array): Promise<unknown> };
}

/** A WebAssembly module with one empty function. */
const TINY_WASM = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 4, 1, 2, 0, 11];

/**
 * Bun's shared threads. JavaScriptCore's end when they have been idle for 10 s and are started again by whoever needs
 * them; the name of the one for WebAssembly is cut off at its beginning.
 */
function sharedHelpers(): SharedHelpers {
  const late = ["HeapHelper", "JITWorker", "t Helper Thread", "Bun Pool", "HTTP Client"];
  return {
    start(): void {
      // A collection in the background: it needs its helpers, the caller does not wait for it.
      const { Bun, WebAssembly } = globalThis as unknown as Globals;
      Bun.gc(false);
      void WebAssembly.compile(new Uint8Array(TINY_WASM));
    },
    names: [...late, "JSCWarmUp", "mi-scavenger"],
    late,
  };
}

/**
 * The backend for Bun, over `bun:ffi`.
 *
 * @param ffi The module.
 * @returns The backend.
 */
export function bunBackend(ffi: unknown): Backend {
  const { dlopen, toArrayBuffer } = ffi as BunFfi;
  return {
    name: "bun",
    // JavaScriptCore refuses (and older Bun versions abort on) anything longer.
    maxBufferBytes: 2 ** 32,
    helpers: sharedHelpers(),
    open<Table extends SymbolTable>(path: string, table: Table): Calls<Table> {
      const symbols = translate(table, (args) => ({
        args: args.map((arg) => TYPES[arg]),
        returns: "i32",
      }));
      return dlopen(path, symbols).symbols as Calls<Table>;
    },
    view: (address, byteLength) => toArrayBuffer(address, 0, byteLength),
    detach,
  };
}
