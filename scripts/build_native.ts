/**
 * Builds the C helpers that packages carry, for machines without a compiler, libhwloc and libnuma.
 *
 * Each is linked with static hwloc and libnuma against an old C library, by a compiler that comes unpacked from Debian
 * into `.tools/native`: nothing is installed, and nothing of this machine but make, cmake and pkg-config takes part.
 * The same sources give the same bytes wherever they are built; `--check` proves it.
 */
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Apt } from "./lib/native/apt.ts";
import { buildHelper } from "./lib/native/helper.ts";
import { inspect, type Inspection, mapExports } from "./lib/native/inspect.ts";
import { type Listed, readManifest, sourceDigest, writeManifest } from "./lib/native/manifest.ts";
import { buildStaticLibraries, licenceSources } from "./lib/native/static_libs.ts";
import { type Target, TARGETS } from "./lib/native/targets.ts";
import { makeRunner, makeToolchain, type Toolchain } from "./lib/native/toolchain.ts";
import { tryOut } from "./lib/native/try_out.ts";

const USAGE = `scripts/build_native [--target NAME]... [--out DIR] [--check | --test] [--jobs N]

  --target NAME  only this one: ${TARGETS.map(({ name }) => name).join(", ")}
  --out DIR      put them in DIR/NAME/libnumakit.so instead of native/prebuilt, and leave their list alone
  --check        build everything again elsewhere and compare with what is in native/prebuilt, byte by byte
  --test         run the C tests and open each helper with its own C library, arm64 in emulation
  --jobs N       as many compilers at once
`;

const checkout = fs.realpathSync(fileURLToPath(new URL("..", import.meta.url)));
const native = join(checkout, "native");
const cache = join(checkout, ".tools/native");
const prebuilt = join(native, "prebuilt");

interface Options {
  readonly targets: readonly Target[];
  readonly out: string;
  readonly mode: "build" | "check" | "test";
  readonly jobs: number;
}

/** A helper that was built, and its row in the table. */
interface Built extends Inspection {
  readonly name: string;
  readonly path: string;
  readonly sha256: string;
}

function fail(message: string): never {
  process.stderr.write(`build_native: ${message}\n`);
  process.exit(2);
}

function say(message: string): void {
  process.stderr.write(`build_native: ${message}\n`);
}

function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      target: { type: "string", multiple: true },
      out: { type: "string" },
      check: { type: "boolean", default: false },
      test: { type: "boolean", default: false },
      jobs: { type: "string", default: String(availableParallelism()) },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1) fail(`--jobs is "${values.jobs}"; give a number from 1`);
  if (values.check && values.test) fail("--check and --test are two things: give one");
  if (values.out !== undefined && (values.check || values.test)) {
    fail("--out goes with neither --check nor --test");
  }
  const targets = values.target?.map((name) =>
    TARGETS.find((target) => target.name === name) ??
      fail(`no target "${name}"; there are ${TARGETS.map((target) => target.name).join(", ")}`)
  );
  return {
    targets: targets ?? TARGETS,
    out: resolve(values.out ?? prebuilt),
    mode: values.check ? "check" : values.test ? "test" : "build",
    jobs,
  };
}

/** Builds a target's helper below a folder, from nothing when the folder is empty. */
function build(tools: Toolchain, folder: string, jobs: number, make: "numakit" | "all"): string {
  const libraries = join(folder, "static", tools.target.name);
  buildStaticLibraries(tools, join(cache, "src"), libraries, jobs);
  const helper = {
    tools,
    source: native,
    libraries,
    folder: join(folder, "build", tools.target.name),
    jobs,
  };
  return buildHelper(helper, make);
}

function look(tools: Toolchain, path: string, folders: readonly string[]): Built {
  const exports = mapExports(fs.readFileSync(join(native, "numakit.map"), "utf8"));
  const sha256 = createHash("sha256").update(fs.readFileSync(path)).digest("hex");
  return { ...inspect(tools, path, exports, folders), name: tools.target.name, path, sha256 };
}

function printTable(rows: readonly Built[]): void {
  const cells = rows.map(({ name, bytes, glibc, needed, sha256 }) => [
    name,
    String(bytes),
    glibc.join(".") || "-",
    needed.join(" "),
    sha256,
  ]);
  const table = [["target", "bytes", "glibc", "needs", "sha256"], ...cells];
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
  for (const row of table) {
    const line = row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
    process.stdout.write(`${line}\n`);
  }
}

/** Puts a file in its place in one step: a process that has the old one mapped keeps it. */
function deliver(from: string, to: string): void {
  fs.mkdirSync(dirname(to), { recursive: true });
  fs.copyFileSync(from, `${to}.tmp`);
  fs.renameSync(`${to}.tmp`, to);
}

/** Builds, and delivers all of them or, when one breaks a promise, none. */
function buildAll({ targets, out, jobs }: Options, tools: readonly Toolchain[]): string[] {
  const rows = tools.map((tool) => {
    say(`building ${tool.target.name}`);
    return look(tool, build(tool, cache, jobs, "numakit"), [checkout, cache]);
  });
  printTable(rows);
  const problems = rows.flatMap(({ name, problems }) => problems.map((text) => `${name}: ${text}`));
  if (problems.length > 0) return problems;
  for (const { name, path } of rows) deliver(path, join(out, name, "libnumakit.so"));
  if (out === prebuilt) writeManifest(checkout, rows, targets.length === TARGETS.length);
  return [];
}

/** What is wrong with a delivered helper, given the one that its sources just gave. */
function compareDelivered({ name, path, bytes, sha256 }: Built, listed?: Listed): string[] {
  const problems: string[] = [];
  const delivered = join(prebuilt, name, "libnumakit.so");
  const place = relative(checkout, delivered);
  if (!fs.existsSync(delivered)) {
    problems.push(`${place} is missing`);
  } else if (!fs.readFileSync(delivered).equals(fs.readFileSync(path))) {
    problems.push(`${place} has other bytes than its sources give`);
  }
  if (listed?.sha256 !== sha256 || listed.bytes !== bytes) {
    problems.push(`lib/runtime/library/prebuilt.ts has another sum or size of ${place}`);
  }
  return problems;
}

function checkLicences(): string[] {
  return Object.entries(licenceSources(join(cache, "src"))).flatMap(([name, source]) => {
    const shipped = join(native, "licenses", name);
    const same = fs.existsSync(shipped) && fs.readFileSync(shipped).equals(fs.readFileSync(source));
    return same ? [] : [`native/licenses/${name} is not the licence of the source package`];
  });
}

/** Compares what is delivered with what the sources give in another place. */
function checkAll({ jobs }: Options, tools: readonly Toolchain[]): string[] {
  const manifest = readManifest(checkout);
  const problems = checkLicences();
  if (manifest.sources !== sourceDigest(native)) {
    problems.push("native/ has changed since they were built: run scripts/build_native");
  }
  const elsewhere = fs.mkdtempSync(join(tmpdir(), "numakit-check-"));
  try {
    const rows = tools.map((tool) => {
      const { name } = tool.target;
      say(`building ${name} again in ${elsewhere}`);
      const path = build(tool, elsewhere, jobs, "numakit");
      const row = look(tool, path, [checkout, cache, elsewhere]);
      problems.push(...row.problems.map((text) => `${name}: ${text}`));
      problems.push(...compareDelivered(row, manifest.helpers[name]));
      return row;
    });
    printTable(rows);
  } finally {
    fs.rmSync(elsewhere, { recursive: true, force: true });
  }
  return problems;
}

/** Runs the C tests and the delivered helpers. */
function testAll({ jobs }: Options, tools: readonly Toolchain[], apt: Apt): string[] {
  return tools.flatMap((tool) => {
    const { name } = tool.target;
    say(`building the tests of ${name}`);
    build(tool, cache, jobs, "all");
    const library = join(prebuilt, name, "libnumakit.so");
    const other = library.replace(
      /-(gnu|musl)\//,
      (_, libc) => libc === "gnu" ? "-musl/" : "-gnu/",
    );
    const runner = makeRunner(tool, cache, apt);
    const results = tryOut({
      tools: tool,
      runner,
      library,
      other,
      native,
      folder: join(cache, "build", name),
    });
    for (const { test, text } of results) process.stdout.write(`${name}: ${test}: ${text}\n`);
    return results.filter(({ passed }) => !passed).map(({ test }) => `${name}: ${test} failed`);
  });
}

function main(args: readonly string[]): void {
  if (process.arch !== "x64") {
    fail(`the compilers are for x86-64 and this machine is ${process.arch}`);
  }
  const options = parseOptions(args);
  const apt = new Apt(join(cache, "apt"));
  let problems: string[];
  try {
    apt.unpackSources(join(cache, "src"));
    const tools = options.targets.map((target) => makeToolchain(target, cache, apt));
    if (options.mode === "check") problems = checkAll(options, tools);
    else if (options.mode === "test") problems = testAll(options, tools, apt);
    else problems = buildAll(options, tools);
  } finally {
    apt.close();
  }
  for (const problem of problems) say(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}

try {
  main(process.argv.slice(2));
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
