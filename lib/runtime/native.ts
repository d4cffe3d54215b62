import type { SharedHelpers } from "./backend.ts";
import { detectBackend } from "./detect.ts";
import { readEnv } from "./env.ts";
import { NumaError } from "../base/error.ts";
import { openLibrary } from "./library/locate.ts";
import { ABI_VERSION, type Calls, SYMBOLS } from "./symbols.ts";
import { traced } from "./trace.ts";

/** The C helper, open. */
export interface Native {
  /** Its functions. */
  readonly calls: Calls<typeof SYMBOLS>;
  /** The file it was loaded from. */
  readonly path: string;
  /** The runtime's dialect. */
  readonly backend: "bun" | "deno" | "node" | "koffi";
  /** The longest ArrayBuffer that `view` can make, in bytes. */
  readonly maxBufferBytes: number;
  /** The runtime's shared threads. */
  readonly helpers: SharedHelpers;
  /** An ArrayBuffer over native memory that nobody frees. */
  view(address: number, byteLength: number): ArrayBuffer;
  /** Cuts such a buffer off from its memory; throws when it can't be. */
  detach(buffer: ArrayBuffer): void;
}

let loaded: Native | undefined;

function load(): Native {
  const backend = detectBackend();
  const { path, calls } = openLibrary(backend, SYMBOLS);
  const version = calls.nk_abi_version();
  if (version !== ABI_VERSION) {
    throw new NumaError("EABI", `use the C helper ${path}`, {
      why: `it has ABI version ${version} and this source needs ${ABI_VERSION}`,
      fix: "Rebuild it with `scripts/bootstrap`, or name a matching one in NUMAKIT_LIBRARY.",
    });
  }
  return {
    calls: readEnv("NUMAKIT_TRACE") === "1" ? traced(calls) : calls,
    path,
    backend: backend.name,
    maxBufferBytes: backend.maxBufferBytes,
    helpers: backend.helpers,
    view: backend.view,
    detach: backend.detach,
  };
}

/**
 * The C helper, opened on first use.
 *
 * @returns The same object for the rest of the thread's life.
 * @throws {NumaError} `EPLATFORM`, `ELIBRARY`, `EPERM`, `EABI`.
 */
export function native(): Native {
  loaded ??= load();
  return loaded;
}
