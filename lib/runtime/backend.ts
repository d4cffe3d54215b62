import { builtin } from "./builtin.ts";
import type { Calls, SymbolTable } from "./symbols.ts";

/**
 * The threads that a runtime starts when it first needs them and then shares between all threads of the process. They
 * are born on the CPUs, and with the memory policy, of the thread that happens to be the first to need them.
 */
export interface SharedHelpers {
  /** Starts them now, from the calling thread, as far as that can be done in a moment. */
  start(): void;
  /** The kernel's names of all that have names of their own: how they begin. */
  readonly names: readonly string[];
  /** Those of them that may still be started later, or again. */
  readonly late: readonly string[];
}

/**
 * What numakit needs of a runtime's foreign function interface. A new runtime is one file that makes one of these.
 *
 * Contract: `open` gives functions that take numbers (whole, below 2^53) and typed arrays as they are and return a
 * number; nothing is validated, because no runtime does it alike (STYLE: never trust the FFI to validate).
 */
export interface Backend {
  /** The runtime's dialect. */
  readonly name: "bun" | "deno" | "node" | "koffi";
  /** The longest ArrayBuffer that `view` can make, in bytes. */
  readonly maxBufferBytes: number;
  /** Its shared threads. */
  readonly helpers: SharedHelpers;
  /** Opens a shared library; throws what the runtime throws. */
  open<Table extends SymbolTable>(path: string, table: Table): Calls<Table>;
  /** An ArrayBuffer over native memory; nobody frees that memory when the buffer is collected. */
  view(address: number, byteLength: number): ArrayBuffer;
  /**
   * Cuts such a buffer off from its memory: it and all its views become empty. A TypeError: it was marked as
   * untransferable. On Bun it stays as it is, without an error, while native code uses it.
   */
  detach(buffer: ArrayBuffer): void;
}

/**
 * Detaches a buffer in the language's own way.
 *
 * @param buffer The buffer.
 */
export function transferAway(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}

/**
 * Detaches a buffer by having a byte stream read into it, which takes it away for that. Nobody ever sees the one that the
 * stream makes of it.
 *
 * @param buffer The buffer.
 */
export function readAway(buffer: ArrayBuffer): void {
  const { ReadableStream } = builtin("node:stream/web");
  const reader = new ReadableStream({ type: "bytes" }).getReader({ mode: "byob" });
  reader.read(new Uint8Array(buffer)).catch(() => {});
}

/**
 * Translates a table into a runtime's own way of writing signatures.
 *
 * @param table The functions.
 * @param translate Makes one signature of an argument list; results are always 32-bit.
 * @returns The same names, translated.
 */
export function translate<Definition>(
  table: SymbolTable,
  translate: (args: SymbolTable[string]["args"]) => Definition,
): Record<string, Definition> {
  return Object.fromEntries(
    Object.entries(table).map(([name, { args }]) => [name, translate(args)]),
  );
}
