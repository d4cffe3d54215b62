/**
 * What is done to the output of either packer, so that both come to the same package.
 *
 * @module
 */
import { build } from "esbuild";
import ts from "typescript";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, posix, relative } from "node:path";
import { BIN, BY_URL, config } from "./manifest.ts";
import { TARGET } from "./target.ts";
import { LICENSES_FILE, licensesOf, withPackages } from "./third_party.ts";

const SHEBANG = "#!/usr/bin/env node\n";
/** dnt's stand-in for what `import.meta` has everywhere that numakit runs. */
const PONYFILL =
  /globalThis\[Symbol\.for\(["']import-meta-ponyfill-esmodule["']\)\]\(import\.meta\)/g;
const POLYFILL_IMPORT = /^import ["'][./]*_dnt\.polyfills\.js["'];\n/gm;
/** What esbuild calls a file of shared code. */
const SHARED = /shared-[A-Z0-9]{8}\.js/g;
const POLYFILL_FILE = /^_dnt\./;
/** What deno pack makes of `[Symbol.dispose]` in a class that names itself: bundlers keep such classes. */
const KEY = /^(_computedKey\d*) = (Symbol\.\w+);\n/gm;

/** Puts symbols back where methods have their names. */
function withSymbols(text: string): string {
  const keys = new Map(
    [...text.matchAll(KEY)].map(([, key, symbol]) => [`[${key}]`, `[${symbol}]`]),
  );
  return text.replace(KEY, "").replace(/\[_computedKey\d*\]/g, (key) => keys.get(key) ?? key);
}

/** The declarations that one imports. What comments say that a user may import is none of them. */
function importsOf(file: string, text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "");
  const specifiers = [...code.matchAll(/(?:from|import\(|import)\s*["'](\.[^"']+)\.js["']/g)];
  return specifiers.map(([, path]) => posix.join(posix.dirname(file), `${path}.d.ts`));
}

/** The declarations that the exports lead to: the packers differ in what else they write. */
function publicDeclarations(files: ReadonlyMap<string, string>): Set<string> {
  const todo = Object.values(config.exports)
    .map((source) => posix.normalize(source).replace(/\.ts$/, ".d.ts"));
  const seen = new Set<string>();
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (seen.has(file)) continue;
    const text = files.get(file);
    if (text === undefined) throw new Error(`the packer did not write ${file}`);
    seen.add(file);
    todo.push(...importsOf(file, text));
  }
  return seen;
}

interface Output {
  readonly path: string;
  readonly text: string;
}

/**
 * Numbers the files of shared code by the modules in them, as their hashes differ from packer to packer, and leaves out
 * the empty ones, which stand for entry points that other entry points import.
 */
function tidied(outputs: readonly Output[]): Output[] {
  const isEmpty = ({ text }: Output): boolean => text.trim() === "";
  const firstModule = ({ text }: Output): string => /^\/\/ (\S+)/m.exec(text)?.[1] ?? "";
  const full = outputs.filter((output) => !isEmpty(output));
  const shared = full.filter(({ path }) => path.search(SHARED) >= 0)
    .sort((a, b) => firstModule(a) < firstModule(b) ? -1 : 1);
  const names = new Map(
    shared.map(({ path }, index) => [basename(path), `shared-${index + 1}.js`]),
  );
  const renamed = (text: string): string =>
    text.replaceAll(SHARED, (name) => names.get(name) ?? name);
  const emptied = outputs.filter(isEmpty).map(({ path }) => basename(path)).join("|");
  const importOfEmpty = new RegExp(`^import "[./]*(${emptied})";\\n`, "gm");
  return full.map(({ path, text }) => ({
    path: renamed(path),
    text: renamed(text.replaceAll(importOfEmpty, "")),
  }));
}

/**
 * Puts the modules together that are only reached through others: a runtime opens each file at a price, and forty of
 * them take Node twice as long to import as a few. Shared code goes beside `mod.js`. Comments are left to the
 * declarations, as they are half of what a runtime has to read, but for the marks of pure calls; nothing is minified,
 * for the sake of stacks.
 *
 * @param folder Where the packer's modules are, cleaned.
 * @returns The JavaScript of the package, by path, and the licences of what is in the command.
 */
async function bundled(folder: string): Promise<Map<string, string>> {
  const { outputFiles } = await build({
    entryPoints: MODULES.map((file) => join(folder, file)),
    outdir: folder,
    outbase: folder,
    absWorkingDir: folder,
    chunkNames: "shared-[hash]",
    bundle: true,
    splitting: true,
    packages: "external",
    format: "esm",
    platform: "node",
    target: TARGET,
    write: false,
  });
  const files = new Map<string, string>();
  for (const { path, text } of tidied(outputFiles)) {
    const file = relative(folder, path);
    const body = text.replace(/^#!.*\n/, "");
    if (file !== BIN.replace(/\.ts$/, ".js")) {
      files.set(file, withoutComments(body));
      continue;
    }
    const { code, packages } = await withPackages(body);
    files.set(file, `${SHEBANG}${withoutComments(code)}`);
    files.set(LICENSES_FILE, licensesOf(packages));
  }
  return files;
}

/** Tells bundlers that they may leave a call out when nobody uses its result. */
const PURE = "/* @__PURE__ */ ";
/** What stands for that where comments go: operators that nobody writes. */
const PURE_CODE = "void void ";

/** The import that stands for one of a `data:` module (`stage.ts`), and what tells webpack to leave it alone. */
const DATA_IMPORT = "=> import(loader)";
const LEFT_ALONE = "=> import(/* webpackIgnore: true */ loader)";

/** Leaves the code as it is, line by line, and the marks for bundlers. */
function withoutComments(text: string): string {
  if (text.includes(PURE_CODE)) throw new Error(`somebody did write "${PURE_CODE}"`);
  const { ESNext } = ts.ScriptTarget;
  const compilerOptions = { removeComments: true, target: ESNext, module: ts.ModuleKind.ESNext };
  const { outputText } = ts.transpileModule(text.replaceAll(PURE, PURE_CODE), { compilerOptions });
  return outputText.replaceAll(PURE_CODE, PURE).replaceAll(DATA_IMPORT, LEFT_ALONE);
}

/** Only TypeScript's own declarations say that a class has private fields; deno pack's do not. */
const PRIVATE = /^\s*#private;\n/gm;

/** A declaration file without imports and exports would be one of globals. */
function declarations(text: string): string {
  const body = text.replace(/^#!.*\n/, "").replaceAll(PRIVATE, "");
  return /^\s*(import|export)\b/m.test(body) || /\*\/ (import|export)\b/.test(body)
    ? body
    : `${body}export {};\n`;
}

/** The modules that keep their place: what is imported or found by its URL from outside. */
const MODULES = [
  ...new Set(
    [...Object.values(config.exports), ...BY_URL].map((source) =>
      posix.normalize(source).replace(/\.ts$/, ".js")
    ),
  ),
];

function write(folder: string, file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

/**
 * Makes a package's folder from what a packer wrote: JavaScript that Node 20 can parse, and the public declarations.
 *
 * @param packed The packer's folder; its files are cleaned in place.
 * @param folder The package's.
 */
export async function finish(packed: string, folder: string): Promise<void> {
  const files = new Map<string, string>();
  for (const file of globSync("**/*.{js,d.ts}", { cwd: packed }).sort()) {
    if (POLYFILL_FILE.test(file)) continue;
    const text = readFileSync(join(packed, file), "utf8");
    const clean = text.replaceAll(POLYFILL_IMPORT, "").replaceAll(PONYFILL, "import.meta");
    files.set(file, file.endsWith(".js") ? withSymbols(clean) : clean);
  }
  for (const file of MODULES) {
    if (!files.has(file)) throw new Error(`the packer did not write ${file}`);
  }
  for (const [file, text] of files) write(packed, file, text);
  for (const [file, text] of await bundled(packed)) write(folder, file, text);
  for (const file of publicDeclarations(files)) {
    write(folder, file, declarations(files.get(file) as string));
  }
}
