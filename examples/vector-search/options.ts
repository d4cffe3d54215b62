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
  return {
    ...values,
    vectors: Number(values.vectors),
    queries: Number(values.queries),
    most: Number(values.most),
    kernel: values.kernel === "js" ? "js" : "wasm",
    threads: Number(values.threads),
  };
}
