import { build, type Plugin } from "esbuild";
import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { unitTests } from "./unit_tests.ts";

const FOLDER = "build/node20";

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

/** What {@linkcode buildNode20} made. */
export interface Node20Build {
  /** The compiled test files. */
  readonly files: readonly string[];
  /** The environment that they need. */
  readonly env: Readonly<Record<string, string>>;
}

let built: Promise<Node20Build> | undefined;

/**
 * Compiles library and tests to JavaScript for Node 20, which does not run TypeScript: once, whoever asks.
 *
 * @returns What it made.
 */
export function buildNode20(): Promise<Node20Build> {
  return built ??= compile();
}

async function compile(): Promise<Node20Build> {
  rmSync(FOLDER, { recursive: true, force: true });
  await build({
    entryPoints: [
      ...["mod.ts", "worker_entry.ts", "scripts/lib/guest_progress.ts"],
      ...globSync("{lib,tests}/**/*.ts"),
    ],
    outdir: FOLDER,
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
    `${FOLDER}/package.json`,
    JSON.stringify({ ...manifest, exports: Object.fromEntries(exports) }),
  );
  return {
    files: unitTests.map((file) => `${FOLDER}/${file.replace(/\.ts$/, ".js")}`),
    env: { NUMAKIT_LIBRARY: `${process.cwd()}/native/build/libnumakit.so` },
  };
}
