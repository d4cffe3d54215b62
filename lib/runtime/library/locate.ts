/**
 * Where the C helper is: in this order, and nowhere else.
 *
 * 1. `NUMAKIT_LIBRARY`: then it is the only place, because falling back to another would hide that this one is broken.
 * 2. `native/build` of a checkout.
 * 3. `native/prebuilt` beside the sources.
 * 4. The npm package of this platform, `@numakit/linux-x64-gnu` and its siblings.
 * 5. For modules that came over https (JSR): `native/prebuilt` at the modules' own origin, fetched once into the user's
 *    cache folder.
 *
 * What was built elsewhere (3 to 5) has to have the SHA-256 that this source knows, or it is refused unloaded.
 *
 * @module
 */
import type { Backend } from "../backend.ts";
import { builtin } from "../builtin.ts";
import { cachedLibrary } from "./cached_library.ts";
import { readEnv } from "../env.ts";
import { NumaError } from "../../base/error.ts";
import { isPermissionError, permissionError } from "../permission.ts";
import { fromOwnFiles, sourcesRoot } from "../place.ts";
import { PREBUILT } from "./prebuilt.ts";
import type { Calls, SymbolTable } from "../symbols.ts";
import { hasSum } from "./verify.ts";

/** A place where the C helper may be. */
interface Candidate {
  readonly origin: string;
  /** The place, for messages. */
  readonly place: string;
  /** Gives the file's path; throws when it is not there. */
  find(): string;
  /** What it has to hash to; undefined for what the user built. */
  readonly sha256?: string;
}

function inFile(place: string, origin: string, sha256?: string): Candidate {
  return { origin, place, find: () => place, ...(sha256 === undefined ? {} : { sha256 }) };
}

/** The prebuilt libraries for this processor, by C library: the dynamic loader refuses the wrong one. */
function targets(): [string, { readonly sha256: string }][] {
  const { platform, arch } = builtin("node:process");
  return Object.entries(PREBUILT).filter(([target]) => target.startsWith(`${platform}-${arch}-`));
}

/** In the tree of the sources: what the user built, and what came with it. */
function inSources(root: string): Candidate[] {
  const { fileURLToPath } = builtin("node:url");
  const near = (path: string): string => fileURLToPath(new URL(path, root));
  const beside = targets().map(([target, { sha256 }]) =>
    inFile(near(`native/prebuilt/${target}/libnumakit.so`), "beside the sources", sha256)
  );
  return [inFile(near("native/build/libnumakit.so"), "built in the checkout"), ...beside];
}

function candidates(): Candidate[] {
  const named = readEnv("NUMAKIT_LIBRARY");
  if (named !== undefined) return [inFile(named, "NUMAKIT_LIBRARY")];
  const root = sourcesRoot();
  if (root !== undefined && !root.startsWith("file:")) {
    return targets().map(([target, { sha256 }]): Candidate => {
      const url = new URL(`native/prebuilt/${target}/libnumakit.so`, root);
      return { origin: "fetched", place: url.href, find: () => cachedLibrary(url, sha256), sha256 };
    });
  }
  const installed = targets().map(([target, { sha256 }]): Candidate => {
    const place = `@numakit/${target}/libnumakit.so`;
    const find = (): string => fromOwnFiles((load) => load.resolve(place));
    return { origin: "npm package", place, find, sha256 };
  });
  return root === undefined ? installed : [...inSources(root), ...installed];
}

/** The path of a candidate, after its sum was checked. */
function checkedPath({ find, sha256, place }: Candidate): string {
  const path = find();
  if (sha256 !== undefined && !hasSum(builtin("node:fs").readFileSync(path), sha256)) {
    throw new NumaError("ELIBRARY", `load the C helper ${place}`, {
      why: "it is damaged: its SHA-256 is not the one that this version of numakit was built with",
      fix: "Reinstall numakit, or name a build of your own in NUMAKIT_LIBRARY.",
    });
  }
  return path;
}

/** The cure for what the dynamic loader complained about. */
function fixFor(message: string): string {
  if (/lib(hwloc|numa)\.so/.test(message)) return "Run `apt-get install libhwloc15 libnuma1`.";
  return "Install numakit with its optional dependencies, build the helper with `scripts/bootstrap`, or " +
    "name a build of it in NUMAKIT_LIBRARY.";
}

/**
 * Finds and opens the C helper.
 *
 * @param backend The runtime's foreign function interface.
 * @param table The functions it has to have.
 * @returns Where it was found, and its functions.
 * @throws {NumaError} `ELIBRARY` with every place tried, or for a damaged file; `EPERM` when the runtime forbids it.
 */
export function openLibrary<Table extends SymbolTable>(
  backend: Backend,
  table: Table,
): { path: string; calls: Calls<Table> } {
  const tried: string[] = [];
  let cause: unknown;
  let denied: NumaError | undefined;
  for (const candidate of candidates()) {
    try {
      const path = checkedPath(candidate);
      return { path, calls: backend.open(path, table) };
    } catch (error) {
      if (error instanceof NumaError) throw error;
      if (isPermissionError(error)) {
        // The flag may name another place, which is yet to come.
        denied ??= permissionError(`load the C helper ${candidate.place}`, error);
        continue;
      }
      cause = error;
      const [reason] = String(error instanceof Error ? error.message : error).split("\n");
      tried.push(`${candidate.place} (${candidate.origin}): ${reason}`);
    }
  }
  if (denied !== undefined) throw denied;
  const { platform, arch } = builtin("node:process");
  const why = tried.length === 0
    ? `there is none for ${platform}-${arch}`
    : `tried ${tried.join("; ")}`;
  throw new NumaError("ELIBRARY", "load the C helper", { why, fix: fixFor(why), cause });
}
