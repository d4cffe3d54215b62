import { builtin } from "./builtin.ts";
import type { Calls, SymbolTable } from "./symbols.ts";

function showArg(value: unknown): string {
  return ArrayBuffer.isView(value) ? `<${value.byteLength} bytes>` : String(value);
}

/**
 * Wraps calls so that each writes a line to standard error: name, arguments, result, time in microseconds.
 *
 * @param calls The functions.
 * @returns The same functions, talking.
 */
export function traced<Table extends SymbolTable>(calls: Calls<Table>): Calls<Table> {
  const entries = Object.entries(calls as Record<string, (...args: unknown[]) => number>);
  const wrapped = entries.map(([name, call]) => [name, (...args: unknown[]): number => {
    const start = performance.now();
    const result = call(...args);
    const elapsed_us = (performance.now() - start) * 1000;
    builtin("node:process").stderr.write(
      `numakit: ${name}(${args.map(showArg).join(", ")}) = ${result} in ${
        elapsed_us.toFixed(1)
      } us\n`,
    );
    return result;
  }]);
  return Object.fromEntries(wrapped) as Calls<Table>;
}
