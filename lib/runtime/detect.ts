import type { Backend } from "./backend.ts";
import { builtin } from "./builtin.ts";
import { bunBackend } from "./bun.ts";
import { denoBackend } from "./deno.ts";
import { NumaError } from "../base/error.ts";
import { koffiBackend } from "./koffi.ts";
import { nodeBackend } from "./node.ts";
import { fromOwnFiles } from "./place.ts";

/** Loads a module now, not when this file is imported: `mod.ts` has to load everywhere. */
function loadNow(specifier: string): unknown {
  return fromOwnFiles((load) => load(specifier));
}

function requireKoffi(): unknown {
  try {
    return loadNow("koffi");
  } catch (cause) {
    const missing = (cause as { code?: unknown }).code === "MODULE_NOT_FOUND";
    throw new NumaError("ELIBRARY", "call the C helper", {
      why: `Node ${builtin("node:process").versions.node} has no node:ffi and the package koffi ` +
        (missing ? "is not installed" : `does not load (${cause})`),
      fix: "Run `npm install koffi`, or use Node 26 or later.",
      cause,
    });
  }
}

/**
 * Finds the foreign function interface of the runtime this runs on.
 *
 * @returns Its backend.
 * @throws {NumaError} `EPLATFORM` when this is not Linux; `ELIBRARY` when the runtime has no such interface.
 */
export function detectBackend(): Backend {
  const process = builtin("node:process");
  if (process.platform !== "linux") {
    throw new NumaError("EPLATFORM", "use NUMA", {
      why: `numakit talks to the Linux kernel and this is ${process.platform}`,
      fix: "Importing numakit works everywhere; using it needs Linux.",
    });
  }
  const { Bun, Deno } = globalThis as { Bun?: unknown; Deno?: unknown };
  if (Bun !== undefined) return bunBackend(loadNow("bun:ffi"));
  if (Deno !== undefined) return denoBackend(Deno);
  const ffi = process.getBuiltinModule?.("node:ffi");
  return ffi === undefined ? koffiBackend(requireKoffi()) : nodeBackend(ffi);
}
