/**
 * The two packers come to the same package, and the same again the next time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import ts from "typescript";
import { dntOptions } from "../../scripts/lib/npm/dnt.ts";
import { finish } from "../../scripts/lib/npm/finish.ts";
import { config } from "../../scripts/lib/npm/manifest.ts";
import { entryPoints, stage } from "../../scripts/lib/npm/stage.ts";
import { checkoutFile, type Ran } from "../support/checkout.ts";
import { install, runArguments, writeProject } from "./consumers.ts";
import { told, type Tool } from "./sandbox.ts";
import { setUp } from "./setup.ts";

const RUNTIMES: readonly Tool[] = ["node20", "node22", "node24", "node", "bun", "deno"];
/** Loads every module, and uses what the quick start does not. */
const EVERYTHING = `import * as numakit from "numakit";
${
  Object.keys(config.exports).filter((name) => /^\.\/(?!worker_entry|cli)/.test(name))
    .map((name) => `import "numakit${name.slice(1)}";`).join("\n")
}

const mutex = numakit.Mutex.create(new SharedArrayBuffer(numakit.Mutex.bytes()));
mutex.acquire({ block: true }).release();
const set = numakit.CpuSet.empty.union(numakit.CpuSet.parse("0-3"));
console.log(Object.keys(numakit).length, mutex.tryAcquire() !== undefined, set.size);
`;
/** What is run of a package, and what it prints. */
const OUTPUTS = { "everything.js": /^\d+ true 4\n$/, "main.js": /\n1024\n$/ };

const work = mkdtempSync(join(tmpdir(), "numakit-packers-"));
after(() => rmSync(work, { recursive: true, force: true }));

function build(out: string, packer: string): Ran {
  const { status, signal, stdout, stderr } = spawnSync(
    checkoutFile(".tools/bin/bun"),
    ["scripts/build_npm.ts", "--packer", packer, "--out", join(work, out)],
    { cwd: checkoutFile("."), encoding: "utf8" },
  );
  return { status, signal, stdout, stderr };
}

function tarballs(out: string): Map<string, string> {
  const names = globSync("*.tgz", { cwd: join(work, out) }).sort();
  const sum = (file: string): string =>
    createHash("sha256").update(readFileSync(join(work, out, file))).digest("hex");
  return new Map(names.map((file) => [file, sum(file)]));
}

function files(folder: string): string[] {
  return globSync("**/*.{js,d.ts}", { cwd: folder }).sort();
}

function describeSymbol(symbol: ts.Symbol, checker: ts.TypeChecker): string[] {
  const actual = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const show = (type: ts.Type): string =>
    checker.typeToString(type, undefined, ts.TypeFormatFlags.NoTruncation);
  const members = (type: ts.Type): string[] =>
    type.getProperties().filter(({ name }) => name !== "prototype").map((member) => {
      // Well-known symbols carry a number that the compiler counts up.
      const name = member.name.replace(/^__@(\w+)@\d+$/, "[$1]");
      return `${symbol.name}.${name}: ${show(checker.getTypeOfSymbol(member))}`;
    });
  const lines: string[] = [];
  if (actual.flags & ts.SymbolFlags.Type) {
    lines.push(...members(checker.getDeclaredTypeOfSymbol(actual)));
  }
  if (actual.flags & ts.SymbolFlags.Value) {
    const type = checker.getTypeOfSymbol(actual);
    lines.push(`${symbol.name}: ${show(type)}`, ...members(type));
  }
  return lines;
}

/** All that a package's declarations say to TypeScript, as text. */
function publicTypes(folder: string): string[] {
  const entries = Object.values(config.exports)
    .map((source) => join(folder, source.replace(/\.ts$/, ".d.ts")));
  const program = ts.createProgram(entries, {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    lib: ["lib.esnext.d.ts"],
    typeRoots: [checkoutFile("node_modules/@types")],
    types: ["node"],
    strict: true,
  });
  const checker = program.getTypeChecker();
  return entries.flatMap((entry) => {
    const file = program.getSourceFile(entry);
    const module = file === undefined ? undefined : checker.getSymbolAtLocation(file);
    assert.ok(module !== undefined, `${entry} is no module`);
    const symbols = checker.getExportsOfModule(module);
    return symbols.flatMap((symbol) => describeSymbol(symbol, checker));
  }).sort();
}

/** What tsc has to be told to make what dnt makes with its options. */
function dntFlags(): string[] {
  const { compilerOptions = {} } = dntOptions("", "");
  const { target, lib = [], ...rest } = compilerOptions;
  const others = Object.entries(rest).flatMap(([name, value]) => [`--${name}`, String(value)]);
  // dnt's "Latest" is the compiler's ScriptTarget.Latest, which is ESNext.
  const flag = target === "Latest" ? "ESNext" : String(target);
  return ["--target", flag, "--lib", lib.join(), ...others];
}

/** Installs a package from its folder, in JavaScript, and runs it on every runtime. */
async function runsEverywhere(folder: string): Promise<void> {
  const contract = await setUp(folder);
  try {
    const cwd = contract.sandbox.folder("project");
    await writeProject(cwd);
    writeFileSync(join(cwd, "everything.js"), EVERYTHING);
    const npm = await install(contract.sandbox, "npm", cwd);
    assert.equal(npm.status, 0, told(npm));
    for (const tool of RUNTIMES) {
      for (const [file, output] of Object.entries(OUTPUTS)) {
        const ran = await contract.sandbox.run(tool, runArguments(tool, file), { cwd });
        assert.equal(ran.status, 0, `${file} on ${tool}: ${told(ran)}`);
        assert.match(ran.stdout, output, `${file} on ${tool}: ${told(ran)}`);
      }
    }
  } finally {
    contract.close();
  }
}

/** Does to a module what dnt does where it uses `import.meta`. */
function addPonyfill(folder: string, file: string): void {
  const path = join(folder, file);
  const text = readFileSync(path, "utf8");
  if (!text.includes("import.meta")) return;
  const up = "../".repeat(file.split("/").length - 1) || "./";
  const ponyfill = 'globalThis[Symbol.for("import-meta-ponyfill-esmodule")](import.meta)';
  const code = text.replaceAll("import.meta", ponyfill);
  writeFileSync(path, `import "${up}_dnt.polyfills.js";\n${code}`);
}

describe("packing", () => {
  it("gives the same bytes again", () => {
    for (const out of ["first", "second"]) {
      const ran = build(out, "deno");
      assert.equal(ran.status, 0, told(ran));
      assert.match(ran.stderr, /packing with deno pack/);
    }
    assert.equal(tarballs("first").size, 5);
    assert.deepEqual([...tarballs("second")], [...tarballs("first")]);
  });

  it("with dnt gives the same exports, files and types, or says that JSR is out of reach", async () => {
    const ran = build("dnt", "dnt");
    if (ran.status !== 0) {
      assert.match(
        ran.stderr,
        /Cannot pack with dnt: JSR cannot be resolved .*--packer deno/,
        told(ran),
      );
      assert.equal(ran.status, 1);
      return;
    }
    const [dnt, deno] = ["dnt/numakit", "first/numakit"].map((folder) => join(work, folder));
    assert.deepEqual(files(dnt as string), files(deno as string));
    assert.deepEqual(publicTypes(dnt as string), publicTypes(deno as string));
    await runsEverywhere(dnt as string);
  });

  it("asks dnt for no import of a data: URL, which it refuses", () => {
    const sources = stage(join(work, "staged"));
    const modules = globSync("{mod.ts,worker_entry.ts,lib/**/*.ts}", { cwd: sources });
    const wrong = modules.filter((file) =>
      /(\bimport\(|\bfrom |\bimport )["'`]data:/.test(readFileSync(join(sources, file), "utf8"))
    );
    assert.deepEqual(wrong, []);
    assert.ok(modules.length > 100, `${modules.length} modules`);
    const loader = readFileSync(join(sources, "lib/sched/import_module.ts"), "utf8");
    assert.match(loader, /\(loader: string\) => import\(loader\)\)\("data:text\/javascript,/);
  });

  it("from what dnt makes of the sources gives the same exports, files and types, and runs", async () => {
    const sources = stage(join(work, "sources"));
    const packed = join(work, "as-dnt");
    const ran = spawnSync(checkoutFile("node_modules/.bin/tsc"), [
      ...["--outDir", packed, "--declaration", ...dntFlags()],
      ...["--module", "ESNext", "--moduleResolution", "bundler", "--types", "node", "--strict"],
      ...["--skipLibCheck", "--rewriteRelativeImportExtensions"],
      ...Object.values(entryPoints()),
    ], { cwd: sources, encoding: "utf8" });
    assert.equal(ran.status, 0, told(ran));
    for (const file of globSync("**/*.js", { cwd: packed })) addPonyfill(packed, file);
    for (const file of globSync("**/*.d.ts", { cwd: packed })) {
      // dnt names modules by what they will be; tsc does so in JavaScript only.
      const text = readFileSync(join(packed, file), "utf8");
      writeFileSync(join(packed, file), text.replaceAll(/(["']\.[^"']+)\.ts(["'])/g, "$1.js$2"));
    }
    writeFileSync(join(packed, "_dnt.polyfills.js"), "throw new Error('it is not wanted');\n");
    const folder = join(work, "finished/numakit");
    await finish(packed, folder);
    const deno = join(work, "first/numakit");
    assert.deepEqual(files(folder), files(deno));
    // So that declarations are modules, as in the package.
    cpSync(join(deno, "package.json"), join(folder, "package.json"));
    const types = publicTypes(folder);
    assert.ok(types.length > 200, types.join("\n"));
    assert.deepEqual(types, publicTypes(deno));
    for (const file of globSync("**/*.js", { cwd: folder })) {
      assert.doesNotMatch(readFileSync(join(folder, file), "utf8"), /ponyfill|_dnt/);
    }
    cpSync(join(deno, "../@numakit"), join(work, "finished/@numakit"), { recursive: true });
    await runsEverywhere(folder);
  });
});
