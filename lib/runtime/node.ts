import { type Backend, type SharedHelpers, transferAway, translate } from "./backend.ts";
import { builtin } from "./builtin.ts";
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
 * Keeps V8 from compiling foreign calls into its code: a call then takes 55 ns instead of 8.
 *
 * When a thread of Node 26 ends, `node:ffi` frees what the compiler, in a thread of its own, still reads of such a call,
 * and the process dies (docs/runtimes.md). V8 has one set of flags for all threads.
 */
function spareCompiler(): void {
  builtin("node:v8").setFlagsFromString("--no-turbo-fast-api-calls");
}

/**
 * Node's shared threads: libuv's pool, which does the work of fs, dns, crypto and zlib. The first request of all starts
 * all of it. V8's own threads are there from the process's start.
 */
export const NODE_HELPERS: SharedHelpers = {
  start(): void {
    // Whether standard input is open does not matter, and no permission is asked for.
    builtin("node:fs").fstat(0, () => {});
  },
  // Node 20 calls all threads as the process is called, Node 22 those of V8.
  names: ["libuv-worker", "V8Worker", "node-V8Worker", "DelayedTaskSche", "SignalInspector"],
  late: [],
};

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
    helpers: NODE_HELPERS,
    open<Table extends SymbolTable>(path: string, table: Table): Calls<Table> {
      spareCompiler();
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
