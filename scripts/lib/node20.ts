import { build, type Plugin } from "esbuild";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { COMPILED } from "./runtimes.ts";
import { unitTests } from "./unit_tests.ts";

/** Every file stays a module of its own, as workers are found by their modules' URLs. */
const keepModules: Plugin = {
  name: "keep modules",
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path, kind }) => {
      if (kind === "entry-point") return null;
      return { path: path.replace(/^(\..*)\.ts$/, "$1.js"), external: true };
    });
  },
};

/** The environment that compiled tests need. */
export const COMPILED_ENV: Readonly<Record<string, string>> = {
  NUMAKIT_LIBRARY: `${process.cwd()}/native/build/libnumakit.so`,
};

let built: Promise<readonly string[]> | undefined;

/**
 * Compiles library and tests to JavaScript for Node 20, which does not run TypeScript: once, whoever asks.
 *
 * @returns The compiled files of the unit tests.
 */
export function buildNode20(): Promise<readonly string[]> {
  return built ??= compile();
}

async function compile(): Promise<readonly string[]> {
  rmSync(COMPILED, { recursive: true, force: true });
  await build({
    entryPoints: [
      ...["mod.ts", "worker_entry.ts"],
      ...globSync("{lib,tests,scripts/lib}/**/*.ts"),
    ],
    outdir: COMPILED,
    outbase: ".",
    bundle: true,
    format: "esm",
    target: "node20",
    platform: "node",
    plugins: [keepModules],
    logLevel: "warning",
  });
  const manifest = JSON.parse(readFileSync("package.json", "utf8")) as {
    exports: Record<string, string>;
  };
  const exports = Object.entries(manifest.exports)
    .map(([name, path]) => [name, path.replace(/\.ts$/, ".js")]);
  writeFileSync(
    `${COMPILED}/package.json`,
    JSON.stringify({ ...manifest, exports: Object.fromEntries(exports) }),
  );
  return unitTests.map((file) => `${COMPILED}/${file.replace(/\.ts$/, ".js")}`);
}
