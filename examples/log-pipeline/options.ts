import { parseArgs } from "node:util";

/** What the command line says. */
export interface Options {
  readonly lines: number;
  /** Threads of each stage, but for the source, which has one. */
  readonly threads: number;
  readonly json: boolean;
  /** Whether memory is wherever the kernel puts it: for containers that may not place memory on nodes. */
  readonly unplaced: boolean;
  /** What messages carry, in what the pipeline is compared with. */
  readonly carries: "objects" | "buffers";
}

/** Reads it. */
export function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      lines: { type: "string", default: "1000000" },
      threads: { type: "string", default: "1" },
      json: { type: "boolean", default: false },
      unplaced: { type: "boolean", default: false },
      buffers: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    lines: Number(values.lines),
    threads: Number(values.threads),
    carries: values.buffers ? "buffers" : "objects",
  };
}
