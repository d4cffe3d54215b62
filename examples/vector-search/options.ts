import { parseArgs } from "node:util";

/** What the command line says. */
export interface Options {
  readonly vectors: number;
  readonly queries: number;
  /** How many are to be found for each query. */
  readonly most: number;
  readonly kernel: "wasm" | "js";
  readonly json: boolean;
  /** Whether memory is wherever the kernel puts it: for containers that may not place memory on nodes. */
  readonly unplaced: boolean;
  /** Threads of `before/threads.ts`. */
  readonly threads: number;
}

/** Reads a number. */
function whole(text: string, name: string, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new Error(`Cannot read --${name}: "${text}" is no whole number from 1 to ${most}.`);
}

/** Reads it. */
export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      vectors: { type: "string", default: "200000" },
      queries: { type: "string", default: "100" },
      most: { type: "string", default: "10" },
      kernel: { type: "string", default: "wasm" },
      json: { type: "boolean", default: false },
      unplaced: { type: "boolean", default: false },
      threads: { type: "string", default: "2" },
    },
  });
  const { kernel, json, unplaced } = values;
  if (kernel !== "wasm" && kernel !== "js") {
    throw new Error(`Cannot read --kernel: "${kernel}" is neither "wasm" nor "js".`);
  }
  return {
    ...{ kernel, json, unplaced },
    vectors: whole(values.vectors, "vectors", 1e9),
    queries: whole(values.queries, "queries", 1e6),
    most: whole(values.most, "most", 1e4),
    threads: whole(values.threads, "threads", 256),
  };
}
