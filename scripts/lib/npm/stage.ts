import { cpSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { PREBUILT } from "../../../lib/runtime/library/prebuilt.ts";
import { BY_URL, config, withNpmNames } from "./manifest.ts";

/** Every module that has to be in the package, by a name for packers: the exports, and what is found by URL. */
export function entryPoints(): Record<string, string> {
  const byUrl = BY_URL.map((source): [string, string] => [
    `./_${source.replaceAll(/\W+/g, "_")}`,
    `./${source}`,
  ]);
  const entries = { ...config.exports, ...Object.fromEntries(byUrl) };
  // Each source once: a packer that knows a module twice may write it twice.
  const seen = new Set<string>();
  return Object.fromEntries(
    Object.entries(entries).filter(([, source]) => !seen.has(source) && seen.add(source)),
  );
}

/** An import of a `data:` module, which `deno publish` wants to see and dnt refuses ("Unhandled scheme"). */
const DATA_IMPORT = /await import\((?:\s|\/\*.*\*\/|\/\/.*\n)*("data:[^"]+")\s*\)/g;

/** A module as the packers get it. */
function staged(text: string): string {
  // Of a variable of type string neither packer asks what it leads to.
  return withNpmNames(text).replace(
    DATA_IMPORT,
    (_, url) => `await ((loader: string) => import(loader))(${url})`,
  );
}

/**
 * Copies the sources to a folder of their own, where examples import `numakit` and `deno.json` says what to pack.
 *
 * @param folder The folder; outside the checkout, whose configuration would be found otherwise.
 * @returns The folder.
 */
export function stage(folder: string): string {
  for (const source of ["mod.ts", "worker_entry.ts", ...globSync("lib/**/*.ts")]) {
    const copy = join(folder, source);
    mkdirSync(dirname(copy), { recursive: true });
    writeFileSync(copy, staged(readFileSync(source, "utf8")));
  }
  const { compilerOptions } = JSON.parse(readFileSync("deno.json", "utf8")) as {
    compilerOptions: unknown;
  };
  const manifest = {
    ...{ name: "@numakit/numakit", version: config.version, license: config.license },
    exports: entryPoints(),
    nodeModulesDir: "manual",
    compilerOptions,
  };
  writeFileSync(join(folder, "deno.json"), JSON.stringify(manifest));
  cpSync("package.json", join(folder, "package.json"));
  cpSync("LICENSE", join(folder, "LICENSE"));
  symlinkSync(resolve("node_modules"), join(folder, "node_modules"));
  return folder;
}

/** The C helpers that this version knows, and their files. */
export function helpers(): { target: string; file: string }[] {
  return Object.keys(PREBUILT).sort().map((target) => ({
    target,
    file: `native/prebuilt/${target}/libnumakit.so`,
  }));
}
