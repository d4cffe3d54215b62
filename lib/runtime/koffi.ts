import { type Backend, readAway, transferAway, translate } from "./backend.ts";
import { builtin } from "./builtin.ts";
import { NODE_HELPERS } from "./node.ts";
import type { Calls, SymbolTable } from "./symbols.ts";

/** The part of the `koffi` package that is used here. */
interface Koffi {
  load(path: string): {
    func(name: string, result: string, args: readonly string[]): (...args: unknown[]) => number;
  };
  view(address: number, byteLength: number): ArrayBuffer;
}

const TYPES = { i32: "int32", u64: "uint64", buffer: "void *" } as const;

/**
 * Node 20 has no `ArrayBuffer.prototype.transfer`, and its structuredClone transfers no external buffers. A byte stream
 * does: it takes the buffer that it is asked to read into.
 *
 * Not V8's own `%ArrayBufferDetach`: the flag that makes it available is one for all threads, so whoever takes it back
 * makes it fail elsewhere.
 */
function detacher(): (buffer: ArrayBuffer) => void {
  if ("transfer" in ArrayBuffer.prototype) return transferAway;
  return (buffer) => {
    readAway(buffer);
    if (buffer.byteLength > 0) throw new TypeError("the buffer cannot be detached");
  };
}

/**
 * The backend for Node before 26, over the npm package `koffi`.
 *
 * @param module The package.
 * @returns The backend.
 */
export function koffiBackend(module: unknown): Backend {
  const koffi = module as Koffi;
  return {
    name: "koffi",
    // 4 GiB on Node 20, where asking for more ends the process.
    maxBufferBytes: builtin("node:buffer").constants.MAX_LENGTH,
    helpers: NODE_HELPERS,
    open<Table extends SymbolTable>(path: string, table: Table): Calls<Table> {
      const library = koffi.load(path);
      const definitions = translate(table, (args) => args.map((arg) => TYPES[arg]));
      const calls = Object.entries(definitions).map(([name, args]) => [
        name,
        library.func(name, "int32", args),
      ]);
      return Object.fromEntries(calls) as Calls<Table>;
    },
    view: (address, byteLength) => koffi.view(address, byteLength),
    detach: detacher(),
  };
}
