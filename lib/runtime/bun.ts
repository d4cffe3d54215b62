import { type Backend, transferAway, translate } from "./backend.ts";
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
    open<Table extends SymbolTable>(path: string, table: Table): Calls<Table> {
      const symbols = translate(table, (args) => ({
        args: args.map((arg) => TYPES[arg]),
        returns: "i32",
      }));
      return dlopen(path, symbols).symbols as Calls<Table>;
    },
    view: (address, byteLength) => toArrayBuffer(address, 0, byteLength),
    detach: transferAway,
  };
}
