import { fileURLToPath } from "node:url";
import { detectBackend } from "../lib/runtime/detect.ts";
import type { Calls } from "../lib/runtime/symbols.ts";
import type { Subject } from "./harness.ts";

/** The functions of bench/native. */
const SYMBOLS = {
  bench_bump: { args: ["i32", "i32", "buffer"], returns: "i32" },
  bench_create: { args: ["u64", "buffer"], returns: "i32" },
  bench_getcpu: { args: ["i32", "buffer"], returns: "i32" },
  bench_lock_pair: { args: ["i32", "i32", "buffer"], returns: "i32" },
  bench_lock_threads: {
    args: ["i32", "i32", "buffer", "i32", "i32", "buffer"],
    returns: "i32",
  },
  bench_malloc_pair: { args: ["i32", "i32", "buffer"], returns: "i32" },
  bench_malloc_alive: { args: ["i32", "i32", "i32", "buffer"], returns: "i32" },
  bench_ping_pong: { args: ["i32", "buffer", "buffer"], returns: "i32" },
  bench_ring: { args: ["i32", "i32", "i32", "buffer", "buffer"], returns: "i32" },
  bench_ring_pair: { args: ["i32", "buffer"], returns: "i32" },
} as const;

/** What the locks of `bench/native/sync.c` are called there. */
export const C_KIND = { pthreadMutex: 0, mcs: 1, sharedAdd: 2, ownAdd: 3, rwlockRead: 4 } as const;

/** The opponents in C, built by scripts/bootstrap. */
export function benchLibrary(): Calls<typeof SYMBOLS> {
  const path = new URL("../build/bench/libnumakit_bench.so", import.meta.url);
  return detectBackend().open(fileURLToPath(path), SYMBOLS);
}

/** A subject that is timed in C: `call` writes nanoseconds an operation, times 1000, to its argument. */
export function inC(name: string, call: (out: BigUint64Array) => number): Subject {
  const out = new BigUint64Array(1);
  return {
    name,
    self(): number {
      const result = call(out);
      if (result < 0) throw new Error(`${name} failed with errno ${-result}`);
      return Number(out[0]) / 1000;
    },
  };
}
