import { type Backend, transferAway, translate } from "./backend.ts";
import { isPermissionError, permissionError } from "./permission.ts";
import type { Calls, SymbolTable } from "./symbols.ts";

/** The part of the `Deno` namespace that is used here. */
interface DenoNamespace {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: readonly string[]; result: string }>,
  ): { symbols: unknown };
  UnsafePointer: { create(address: bigint): unknown };
  UnsafePointerView: { getArrayBuffer(pointer: unknown, byteLength: number): ArrayBuffer };
}

/**
 * The backend for Deno, over `Deno.dlopen`.
 *
 * @param namespace `globalThis.Deno`.
 * @returns The backend.
 */
export function denoBackend(namespace: unknown): Backend {
  const deno = namespace as DenoNamespace;
  return {
    name: "deno",
    maxBufferBytes: Number.MAX_SAFE_INTEGER,
    // V8's are there from the process's start, and each worker has blocking threads of its own.
    helpers: { start() {}, names: ["V8 DefaultWorke", "tokio-runtime-w"], late: [] },
    open<Table extends SymbolTable>(path: string, table: Table): Calls<Table> {
      const symbols = translate(table, (parameters) => ({ parameters, result: "i32" }));
      return deno.dlopen(path, symbols).symbols as Calls<Table>;
    },
    view(address, byteLength) {
      try {
        const pointer = deno.UnsafePointer.create(BigInt(address));
        return deno.UnsafePointerView.getArrayBuffer(pointer, byteLength);
      } catch (error) {
        // The flag with a path opens that library, but gives no pointers.
        throw isPermissionError(error)
          ? permissionError("see the C helper's memory", error)
          : error;
      }
    },
    detach: transferAway,
  };
}
