import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { join, resolve } from "node:path";
import type { DntBuildOptions } from "./dnt_api.ts";
import { BIN, mainManifest } from "./manifest.ts";
import { entryPoints } from "./stage.ts";

/** The packer, pinned. */
export const DNT = "jsr:@deno/dnt@0.43.2";

const DENO = resolve(".tools/bin/deno");
const RESOLVE_TIMEOUT_MS = 30_000;

/**
 * Why dnt cannot be had.
 *
 * @returns What Deno said; undefined when it can.
 */
export function jsrRefusal(): string | undefined {
  const { status, stderr, error } = spawnSync(
    DENO,
    ["cache", "--quiet", "--no-config", "--no-lock", DNT],
    { encoding: "utf8", timeout: RESOLVE_TIMEOUT_MS, env: { ...process.env, NO_COLOR: "1" } },
  );
  if (status === 0) return undefined;
  if (error !== undefined) return error.message;
  return stderr.trim().split("\n").slice(0, 2).map((line) => line.trim()).join(" ");
}

/**
 * What dnt is asked for: JavaScript modules and declarations side by side, type-checked, nothing added.
 *
 * @param sources The staged sources.
 * @param outDir Where dnt writes.
 */
export function dntOptions(sources: string, outDir: string): DntBuildOptions {
  const manifest = mainManifest();
  const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
    dependencies: Record<string, string>;
    devDependencies: Record<string, string>;
  };
  return {
    entryPoints: Object.entries(entryPoints()).map(([name, source]) => ({
      kind: source === `./${BIN}` ? "bin" : "export",
      name,
      path: join(sources, source),
    })),
    outDir,
    shims: {},
    esModule: true,
    scriptModule: false,
    declaration: "inline",
    declarationMap: false,
    skipSourceOutput: true,
    typeCheck: "single",
    test: false,
    importMap: join(sources, "import_map.json"),
    package: {
      name: manifest["name"] as string,
      version: manifest["version"] as string,
      dependencies,
      devDependencies: { "@types/node": devDependencies["@types/node"] },
    },
    compilerOptions: {
      // finish() lowers what Node 20 lacks. With ES2022 to ES2024 TypeScript 6.0.3 writes a class that throws when it
      // is loaded, where a private method names its class and a static field makes an instance.
      target: "Latest",
      lib: ["ESNext"],
      noUncheckedIndexedAccess: true,
    },
  };
}

/** The program that runs dnt: there its options meet dnt's own types. */
function program(options: DntBuildOptions): string {
  return `import { build, type BuildOptions } from "${DNT}";
const options: BuildOptions = ${JSON.stringify(options, null, 2)};
await build(options);
`;
}

/**
 * Packs with dnt.
 *
 * @param sources The staged sources.
 * @param out The folder that gets JavaScript and declarations, side by side.
 */
export function packWithDnt(sources: string, out: string): void {
  const { dependencies } = JSON.parse(readFileSync("package.json", "utf8")) as {
    dependencies: Record<string, string>;
  };
  const imports = Object.fromEntries(
    Object.entries(dependencies).map(([name, version]) => [name, `npm:${name}@${version}`]),
  );
  writeFileSync(join(sources, "import_map.json"), JSON.stringify({ imports }));
  const outDir = `${out}-dnt`;
  const file = `${out}-dnt.ts`;
  writeFileSync(file, program(dntOptions(sources, outDir)));
  const { status } = spawnSync(
    DENO,
    ["run", "--allow-all", "--check", "--no-config", "--no-lock", file],
    { stdio: ["ignore", 2, 2] },
  );
  if (status !== 0) throw new Error(`dnt ended with exit status ${status}`);
  cpSync(join(outDir, "esm"), out, { recursive: true });
}
