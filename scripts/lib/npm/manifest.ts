/**
 * What npm has to know of the packages: their package.json and README.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { PREBUILT } from "../../../lib/runtime/library/prebuilt.ts";

interface DenoConfig {
  readonly version: string;
  readonly license: string;
  readonly exports: Readonly<Record<string, string>>;
}

interface CheckoutManifest {
  readonly devDependencies: Readonly<Record<string, string>>;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, "utf8"));
}

/** `deno.json`, the one place of version and exports. */
export const config: DenoConfig = readJson("deno.json") as DenoConfig;
const checkout = readJson("package.json") as CheckoutManifest;

/** The command's module. */
export const BIN = "lib/cli/bin.ts";

/** Modules that no import reaches: they are found by their URL. */
export const BY_URL: readonly string[] = [BIN, "lib/cli/demo_worker.ts"];

/** A source's file in the package. */
function packed(source: string, ending: ".js" | ".d.ts"): string {
  return source.replace(/\.ts$/, ending);
}

/** The same module for every runtime, each with its types first, as resolvers take the first that fits. */
function exportsMap(): Record<string, unknown> {
  const entries = Object.entries(config.exports).map(([name, source]) => {
    const target = { types: packed(source, ".d.ts"), default: packed(source, ".js") };
    return [name, { bun: target, deno: target, node: target, default: target }];
  });
  return { ...Object.fromEntries(entries), "./package.json": "./package.json" };
}

const REPOSITORY = "https://github.com/numakit/numakit";

/** What is the same in every package. */
function common(name: string, description: string): Record<string, unknown> {
  return {
    ...{ name, version: config.version, description, license: config.license },
    author: `The numakit authors (${REPOSITORY})`,
    homepage: `${REPOSITORY}#readme`,
    bugs: { url: `${REPOSITORY}/issues` },
    // npm publish --provenance compares this with where it runs.
    repository: { type: "git", url: `git+${REPOSITORY}.git` },
  };
}

/** A range that takes later versions without breaking changes. */
function caret(versions: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(versions).map(([name, version]) => [name, `^${version}`]),
  );
}

/** The package.json of `numakit`. */
export function mainManifest(): Record<string, unknown> {
  const targets = Object.keys(PREBUILT).sort();
  const { koffi } = checkout.devDependencies as { koffi: string };
  return {
    ...common("numakit", "NUMA toolkit for TypeScript on Bun, Deno and Node"),
    keywords: ["numa", "hwloc", "libnuma", "affinity", "hugepages", "worker_threads", "memory"],
    type: "module",
    // All other modules only define; each class registers itself in a field of its own, which stays or goes with it.
    sideEffects: ["worker_entry.ts", ...BY_URL].map((source) => `./${packed(source, ".js")}`),
    main: "./mod.js",
    types: "./mod.d.ts",
    exports: exportsMap(),
    bin: { numakit: packed(BIN, ".js") },
    files: ["*.js", "*.d.ts", "lib", "THIRD-PARTY.md"],
    engines: { node: ">=20", bun: ">=1.4", deno: ">=2.9" },
    optionalDependencies: Object.fromEntries(
      targets.map((target) => [`@numakit/${target}`, config.version]),
    ),
    peerDependencies: caret({ koffi }),
    peerDependenciesMeta: { koffi: { optional: true } },
  };
}

/** The package.json of a system's C helper. */
export function helperManifest(target: string): Record<string, unknown> {
  const [os, cpu, libc] = target.split("-") as [string, string, string];
  return {
    ...common(`@numakit/${target}`, `C helper of numakit for ${target}`),
    type: "commonjs",
    os: [os],
    cpu: [cpu],
    libc: [libc === "gnu" ? "glibc" : libc],
    files: ["libnumakit.so", "licenses"],
    // A library is opened by its path: it has to be a file of its own.
    preferUnplugged: true,
  };
}

function section(text: string, heading: string): string {
  const found = new RegExp(`^## ${heading}\\n[\\s\\S]*?(?=^## |$(?![\\s\\S]))`, "m").exec(text);
  if (found === null) throw new Error(`there is no section "${heading}"`);
  return found[0].trim();
}

/** The names of the package on npm, in text that has JSR's. */
export function withNpmNames(text: string): string {
  return text.replaceAll("@numakit/numakit", "numakit");
}

/** The README of `numakit`: what the checkout's says to users, and how to install it. */
export function readme(): string {
  const text = readFileSync("README.md", "utf8");
  const [lead = ""] = text.split(/^## /m);
  const packages = readFileSync("docs/packages.md", "utf8");
  const parts = [
    // The documents are not in the package.
    lead.trim().replaceAll(/\[[^\]]+\]\((docs\/[^)]+)\)/g, "`$1` of the sources"),
    section(packages, "Installing"),
    section(text, "Quick start"),
    section(packages, "In Docker, bundles and compiled programs"),
  ];
  return withNpmNames(`${parts.join("\n\n")}\n`);
}
