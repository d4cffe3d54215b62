/**
 * Real sources in stepwise form: reads a module and all that it imports, patches them, rewrites them (`rewrite.ts`) and
 * imports the result.
 *
 * What it cannot do it refuses, with file and line. What it does not see: elements read in patterns (`[a] = words`), by
 * `for … of words` and by typed arrays' own methods (`words.fill`); and closures with steps in arrays, which fail at run
 * time when called.
 *
 * @module
 */

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { threadId } from "node:worker_threads";
import ts from "typescript";
import { findNames } from "./names.ts";
import { Rewriter } from "./rewrite.ts";
import type { Site } from "./rewrite_accesses.ts";
import type { Mutant } from "./spec.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const OUT = resolve(ROOT, "build/model");
const RUNTIME = fileURLToPath(new URL("./runtime.ts", import.meta.url));

/** How to transform. */
export interface TransformOptions {
  /** Applied first. */
  readonly mutants?: readonly Mutant[];
  /** Modules to import in place of others, by the others' paths; they stay as they are. Paths from the checkout's root. */
  readonly replace?: Readonly<Record<string, string>>;
  /** Sources whose plain accesses are steps. Paths from the checkout's root. */
  readonly plainSteps?: readonly string[];
}

/** A module in stepwise form. */
export interface Stepwise {
  /** What it exports. */
  readonly module: Record<string, unknown>;
  /** Its steps, by number. */
  readonly sites: readonly Site[];
}

/**
 * Applies patches to a source.
 *
 * @param text The source.
 * @param mutants The patches.
 * @returns The patched source.
 * @throws {Error} When what a patch looks for is not there exactly once.
 */
export function applyMutants(text: string, mutants: readonly Mutant[]): string {
  let patched = text;
  for (const { file, find, replace } of mutants) {
    const count = patched.split(find).length - 1;
    if (count !== 1) {
      throw new Error(`Cannot patch ${file}: ${JSON.stringify(find)} occurs ${count} times`);
    }
    patched = patched.replace(find, () => replace);
  }
  return patched;
}

interface Source {
  readonly file: string;
  readonly tree: ts.SourceFile;
}

/** Relative imports of a module that are there at run time, as they are written. */
function importsOf({ tree }: Source): ts.StringLiteral[] {
  return tree.statements.flatMap((statement) => {
    const isImport = ts.isImportDeclaration(statement);
    if (!isImport && !ts.isExportDeclaration(statement)) return [];
    const typeOnly = isImport
      ? statement.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
      : statement.isTypeOnly;
    const from = statement.moduleSpecifier;
    return typeOnly || from === undefined || !ts.isStringLiteral(from) ? [] : [from];
  });
}

function readSources(entry: string, options: TransformOptions): Source[] {
  const mutants = options.mutants ?? [];
  const sources: Source[] = [];
  const queue = [entry];
  const seen = new Set(queue);
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    const path = resolve(ROOT, file);
    const text = applyMutants(
      readFileSync(path, "utf8"),
      mutants.filter((mutant) => mutant.file === file),
    );
    const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
    const source = { file, tree };
    sources.push(source);
    for (const { text: from } of importsOf(source)) {
      if (!from.startsWith(".")) continue;
      const found = relative(ROOT, resolve(dirname(path), from));
      if (seen.has(found) || options.replace?.[found] !== undefined) continue;
      seen.add(found);
      queue.push(found);
    }
  }
  for (const { file } of mutants) {
    if (!seen.has(file)) throw new Error(`Cannot patch ${file}: ${entry} does not import it`);
  }
  return sources;
}

const outName = (file: string): string => file.replaceAll("/", "__").replace(/\.ts$/, ".js");

function write(source: Source, text: string, folder: string, options: TransformOptions): void {
  const { outputText, diagnostics } = ts.transpileModule(text, {
    fileName: source.file,
    reportDiagnostics: true,
    compilerOptions: {
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
      verbatimModuleSyntax: true,
    },
  });
  const [problem] = diagnostics ?? [];
  if (problem !== undefined) {
    writeFileSync(`${folder}/${outName(source.file)}.broken`, text);
    const message = ts.flattenDiagnosticMessageText(problem.messageText, " ");
    throw new Error(`Cannot transform ${source.file}: ${message}; see ${folder}`);
  }
  const toUrl = (path: string): string => JSON.stringify(pathToFileURL(path).href);
  // The text between the quotes is found again as it is: rewriting leaves imports alone.
  let code = outputText;
  for (const specifier of importsOf(source)) {
    if (!specifier.text.startsWith(".")) continue;
    const found = relative(ROOT, resolve(dirname(source.tree.fileName), specifier.text));
    const other = options.replace?.[found];
    const target = other === undefined ? `${folder}/${outName(found)}` : resolve(ROOT, other);
    code = code.replaceAll(
      new RegExp(`(from\\s*|import\\s*)["']${specifier.text.replaceAll(".", "\\.")}["']`, "g"),
      (_, keyword) => `${keyword}${toUrl(target)}`,
    );
  }
  const head = `import { runtime as $ } from ${toUrl(RUNTIME)};\n`;
  writeFileSync(`${folder}/${outName(source.file)}`, head + code);
}

let count = 0;

/**
 * Makes a module stepwise and imports it.
 *
 * @param entry The module, from the root of the checkout.
 * @param options Patches and replacements.
 * @returns What it exports.
 * @throws {Error} For what cannot be transformed, with its place.
 */
export async function loadStepwise(
  entry: string,
  options: TransformOptions = {},
): Promise<Stepwise> {
  const folder = `${OUT}/${process.pid}-${threadId}-${++count}`;
  if (existsSync(folder)) rmSync(folder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  const sources = readSources(entry, options);
  const { plainSteps = [] } = options;
  for (const file of plainSteps) {
    if (!sources.some((source) => source.file === file)) {
      throw new Error(`Cannot make steps of ${file}: ${entry} does not import it`);
    }
  }
  const names = findNames(
    sources.map(({ tree }) => tree),
    new Set(sources.filter(({ file }) => plainSteps.includes(file)).map(({ tree }) => tree)),
  );
  const sites: Site[] = [];
  for (const source of sources) {
    const text = new Rewriter(source.tree, source.file, names, sites).run();
    write(source, text, folder, options);
  }
  const module = await import(pathToFileURL(`${folder}/${outName(entry)}`).href);
  // What could not be imported stays, to be looked at.
  rmSync(folder, { recursive: true });
  return { module, sites };
}
