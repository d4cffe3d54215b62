/**
 * Where numakit's code is: in the tree of its sources, in its package, or in a bundle of somebody's program.
 *
 * `import.meta.url` says so everywhere but in bundles. Where a bundler makes CommonJS, it is empty (esbuild), or the path
 * that the source had on the machine of the build (webpack, `bun build`); webpack writes that into ESM as well.
 * Nobody here writes `new URL(…, import.meta.url)` or `createRequire(import.meta.url)`, which webpack takes for files
 * that it has to find and copy.
 *
 * @module
 */
import { builtin } from "./builtin.ts";

/** In CommonJS, the file that the code is in. */
declare const __filename: unknown;
/** What webpack replaces; it is nowhere else. */
declare const __webpack_require__: unknown;

/** Where this file is below the root of the sources. */
const IN_SOURCES = /\/lib\/runtime\/place\.[jt]s$/;

function urlOfPath(path: unknown): string | undefined {
  if (typeof path !== "string" || !builtin("node:path").isAbsolute(path)) return undefined;
  return builtin("node:url").pathToFileURL(path).href;
}

/** The file of a CommonJS bundle. Not by `typeof`: webpack answers that itself, and wrong where it makes ESM. */
function commonJsFile(): string | undefined {
  try {
    return urlOfPath(__filename);
  } catch {
    return undefined;
  }
}

function isWebpack(): boolean {
  return typeof __webpack_require__ === "function";
}

/** What `import.meta.url` is; undefined in CommonJS that esbuild made. */
function metaUrl(): string | undefined {
  return import.meta.url;
}

function ownFile(): string | undefined {
  return metaUrl() ?? commonJsFile();
}

/** The module that the process was started with; in a thread that numakit launched on Node, the thread's first one. */
function mainFile(): string | undefined {
  const path = builtin("node:process").argv[1];
  try {
    // A command is started through a link.
    return urlOfPath(path && builtin("node:fs").realpathSync(path));
  } catch {
    return urlOfPath(path);
  }
}

/**
 * The root of numakit's sources.
 *
 * @returns Its URL, ending with a slash; undefined in a package of joined files and in a bundle.
 */
export function sourcesRoot(): string | undefined {
  const url = metaUrl();
  if (url === undefined || isWebpack() || !IN_SOURCES.test(url)) return undefined;
  return url.replace(IN_SOURCES, "/");
}

/**
 * The files that numakit's code may be in when it is bundled, or that it was loaded by, the likeliest first. They are
 * looked for one at a time: Deno asks for a permission for the second.
 *
 * @returns Their URLs.
 */
export function* ownFiles(): Generator<string> {
  const ways = isWebpack() ? [commonJsFile, mainFile, metaUrl] : [ownFile, mainFile];
  for (const way of ways) {
    const url = way();
    if (url !== undefined) yield url;
  }
}

/**
 * Resolves or loads a module by its name with the first of {@linkcode ownFiles} from which that works.
 *
 * @param use Resolves or loads it, as seen from a file.
 * @returns What that gave.
 * @throws What it threw for the first file.
 */
export function fromOwnFiles<Found>(use: (load: NodeJS.Require) => Found): Found {
  const { createRequire } = builtin("node:module");
  let failure: { readonly error: unknown } | undefined;
  for (const file of ownFiles()) {
    if (!file.startsWith("file:")) continue;
    try {
      return use(createRequire(file));
    } catch (error) {
      // What is missing from the first is what to tell.
      failure ??= { error };
    }
  }
  if (failure !== undefined) throw failure.error;
  return use(createRequire(`${builtin("node:process").cwd()}/`));
}
