import { fileURLToPath } from "node:url";
import type { Backend } from "./backend.ts";
import { readEnv } from "./env.ts";
import { NumaError } from "./error.ts";
import type { Calls, SymbolTable } from "./symbols.ts";

/** A place where the C helper may be, and why it is looked for there. */
interface Candidate {
  readonly path: string;
  readonly origin: string;
}

/**
 * Lists the places where the C helper is looked for, best first. A library that the user names is the only one:
 * falling back to another would hide that theirs is broken.
 */
function candidates(): Candidate[] {
  const named = readEnv("NUMAKIT_LIBRARY");
  if (named !== undefined) return [{ path: named, origin: "NUMAKIT_LIBRARY" }];
  const built = new URL("../../native/build/libnumakit.so", import.meta.url);
  return built.protocol === "file:"
    ? [{ path: fileURLToPath(built), origin: "built in the checkout" }]
    : [];
}

function isPermission(error: unknown): boolean {
  const { name, code } = error as { name?: unknown; code?: unknown };
  return name === "NotCapable" || name === "PermissionDenied" || code === "ERR_ACCESS_DENIED";
}

/** The cure for what the dynamic loader complained about. */
function fixFor(message: string): string {
  if (/lib(hwloc|numa)\.so/.test(message)) return "Run `apt-get install libhwloc15 libnuma1`.";
  return "Build it with `scripts/bootstrap`, or name a build of it in NUMAKIT_LIBRARY.";
}

/**
 * Finds and opens the C helper.
 *
 * @param backend The runtime's foreign function interface.
 * @param table The functions it has to have.
 * @returns Where it was found, and its functions.
 * @throws {NumaError} `ELIBRARY` with every place tried; `EPERM` when the runtime forbids it.
 */
export function openLibrary<Table extends SymbolTable>(
  backend: Backend,
  table: Table,
): { path: string; calls: Calls<Table> } {
  const tried: string[] = [];
  let cause: unknown;
  for (const { path, origin } of candidates()) {
    try {
      return { path, calls: backend.open(path, table) };
    } catch (error) {
      if (isPermission(error)) {
        throw new NumaError("EPERM", `load the C helper ${path}`, {
          why: "the runtime does not allow foreign functions",
          fix: "Start it with --allow-ffi.",
          cause: error,
        });
      }
      cause = error;
      tried.push(`${path} (${origin}): ${error instanceof Error ? error.message : error}`);
    }
  }
  const why = tried.length === 0 ? "there is no place to look for it" : `tried ${tried.join("; ")}`;
  throw new NumaError("ELIBRARY", "load the C helper", { why, fix: fixFor(why), cause });
}
