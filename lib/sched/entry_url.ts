/**
 * Where the first module of a thread is.
 *
 * 1. `NUMAKIT_WORKER_ENTRY`: then it is the only place.
 * 2. `worker_entry.ts` at the root of the sources.
 * 3. `worker_entry.js` (or `.mjs`, `.cjs`) beside the file that this code is in: numakit's package, and bundles.
 * 4. The same in the folder above: bundlers may put shared code into a folder of its own.
 * 5. The same beside the program's main module.
 *
 * @module
 */
import { builtin } from "../runtime/builtin.ts";
import { NumaError } from "../base/error.ts";
import { readEnv } from "../runtime/env.ts";
import { permissionError } from "../runtime/permission.ts";
import { ownFiles, sourcesRoot } from "../runtime/place.ts";

const ENDINGS = ["js", "mjs", "cjs"] as const;
const FIX =
  "Make a module worker_entry that imports numakit/worker_entry another entry point of the bundle; " +
  "name its file in NUMAKIT_WORKER_ENTRY if it is elsewhere.";

function isThere(file: URL, action: string): boolean {
  try {
    return builtin("node:fs").existsSync(file);
  } catch (cause) {
    throw permissionError(action, cause);
  }
}

/** The file that the user named. */
function namedEntry(named: string, action: string): URL {
  const { pathToFileURL } = builtin("node:url");
  const url = named.startsWith("file:") && URL.canParse(named)
    ? new URL(named)
    : pathToFileURL(named);
  if (isThere(url, action)) return url;
  throw new NumaError("EMODULE", action, {
    why: `NUMAKIT_WORKER_ENTRY is ${JSON.stringify(named)}, and ${url.href} is not there`,
    fix: "Name the file of a bundle that was made from numakit/worker_entry.",
  });
}

/** The folders where an entry is looked for, with the ending that is likeliest there. */
function* folders(): Generator<{ folder: string; ending: string }> {
  let isFirst = true;
  for (const file of ownFiles()) {
    if (!URL.canParse(".", file)) continue;
    const ending = /\.(\w+)$/.exec(file)?.[1] ?? "js";
    yield { folder: new URL(".", file).href, ending };
    if (isFirst) yield { folder: new URL("..", file).href, ending };
    isFirst = false;
  }
}

function searchedEntry(action: string): URL {
  const tried = new Set<string>();
  for (const { folder, ending } of folders()) {
    if (tried.has(folder)) continue;
    tried.add(folder);
    for (const each of new Set([ending, ...ENDINGS])) {
      const url = new URL(`worker_entry.${each}`, folder);
      if (isThere(url, action)) return url;
    }
  }
  const places = [...tried].map((folder) => `${folder}worker_entry.js`).join(", ");
  throw new NumaError("EMODULE", action, {
    why: `numakit is in a bundle, and there is none of ${places} (nor .mjs, nor .cjs)`,
    fix: FIX,
  });
}

/**
 * Finds the first module of a thread.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns Its URL, for `new Worker()`.
 * @throws {NumaError} `EMODULE` in a bundle without it, with each place tried; `EPERM` when the runtime does not allow to
 * look.
 */
export function entryUrl(action: string): URL {
  const named = readEnv("NUMAKIT_WORKER_ENTRY");
  if (named !== undefined) return namedEntry(named, action);
  const root = sourcesRoot();
  if (root === undefined) return searchedEntry(action);
  // The entry has the ending of the sources: .ts in a checkout and on JSR.
  const entry = new URL(`worker_entry.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, root);
  // Workers start from file: and data: only; a module that came over https is imported from there.
  return entry.protocol === "file:"
    ? entry
    : new URL(`data:text/javascript,import ${encodeURIComponent(JSON.stringify(entry.href))}`);
}
