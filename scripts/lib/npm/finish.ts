/**
 * What is done to the output of either packer, so that both come to the same package.
 *
 * @module
 */
import { transform } from "esbuild";
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { BIN, BY_URL, config } from "./manifest.ts";

/** The oldest Node that numakit runs on; it cannot parse `using`, for one. */
const TARGET = "node20";
const SHEBANG = "#!/usr/bin/env node\n";
/** dnt's stand-in for what `import.meta` has everywhere that numakit runs. */
const PONYFILL =
  /globalThis\[Symbol\.for\(["']import-meta-ponyfill-esmodule["']\)\]\(import\.meta\)/g;
const POLYFILL_IMPORT = /^import ["'][./]*_dnt\.polyfills\.js["'];\n/gm;
const POLYFILL_FILE = /^_dnt\./;

/** The declarations that one imports. */
function importsOf(file: string, text: string): string[] {
  const specifiers = [...text.matchAll(/(?:from|import\(|import)\s*["'](\.[^"']+)\.js["']/g)];
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

async function javascript(file: string, text: string): Promise<string> {
  const { code } = await transform(text.replace(/^#!.*\n/, ""), {
    format: "esm",
    target: TARGET,
    sourcefile: file,
  });
  return file === BIN.replace(/\.ts$/, ".js") ? `${SHEBANG}${code}` : code;
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

/** What every JavaScript file of the package has to be reached from. */
function checkModules(files: ReadonlyMap<string, string>): void {
  for (const source of [...Object.values(config.exports), ...BY_URL]) {
    const file = posix.normalize(source).replace(/\.ts$/, ".js");
    if (!files.has(file)) throw new Error(`the packer did not write ${file}`);
  }
}

/**
 * Copies what a packer wrote into a package's folder: JavaScript that Node 20 can parse, and the public declarations.
 *
 * @param packed The packer's folder.
 * @param folder The package's.
 */
export async function finish(packed: string, folder: string): Promise<void> {
  const files = new Map<string, string>();
  for (const file of globSync("**/*.{js,d.ts}", { cwd: packed }).sort()) {
    if (POLYFILL_FILE.test(file)) continue;
    const text = readFileSync(join(packed, file), "utf8");
    files.set(file, text.replaceAll(POLYFILL_IMPORT, "").replaceAll(PONYFILL, "import.meta"));
  }
  checkModules(files);
  const wanted = publicDeclarations(files);
  for (const [file, text] of files) {
    const isDeclaration = file.endsWith(".d.ts");
    if (isDeclaration && !wanted.has(file)) continue;
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(
      join(folder, file),
      isDeclaration ? declarations(text) : await javascript(file, text),
    );
  }
}
