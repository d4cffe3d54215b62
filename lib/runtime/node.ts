import { type Backend, transferAway, translate } from "./backend.ts";
import type { ArgType, Calls, SymbolTable } from "./symbols.ts";

/** The part of `node:ffi` that is used here. */
interface NodeFfi {
  dlopen(
    path: string,
    definitions: Record<string, { arguments: readonly string[]; return: string }>,
  ): { functions: Record<string, NativeFunction> };
  toArrayBuffer(address: bigint, byteLength: number, copy: boolean): ArrayBuffer;
}

type NativeFunction = (...args: unknown[]) => number;

/** `node:ffi` takes 64-bit arguments as BigInts only. */
function widen(call: NativeFunction, args: readonly ArgType[]): NativeFunction {
  if (!args.includes("u64")) return call;
  return (...values) =>
    call(...values.map((value, index) => args[index] === "u64" ? BigInt(value as number) : value));
}

/**
 * The backend for Node 26 and later, over the built-in `node:ffi`.
 *
 * @param ffi The module.
 * @returns The backend.
 */
export function nodeBackend(ffi: unknown): Backend {
  const { dlopen, toArrayBuffer } = ffi as NodeFfi;
  return {
    name: "node",
    maxBufferBytes: Number.MAX_SAFE_INTEGER,
    open<Table extends SymbolTable>(path: string, table: Table): Calls<Table> {
      const definitions = translate(table, (args) => ({ arguments: args, return: "i32" }));
      const { functions } = dlopen(path, definitions);
      const calls = Object.entries(table).map(([name, { args }]) => [
        name,
        widen(functions[name] as NativeFunction, args),
      ]);
      return Object.fromEntries(calls) as Calls<Table>;
    },
    view: (address, byteLength) => toArrayBuffer(BigInt(address), byteLength, false),
    detach: transferAway,
  };
}
