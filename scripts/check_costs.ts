/**
 * What a user pays in bytes: the core's JavaScript and the prebuilt helpers, against their limits. Fails when one is
 * exceeded.
 */
import { build } from "esbuild";
import { globSync, statSync } from "node:fs";
import process from "node:process";
import { gzipSync } from "node:zlib";

interface Size {
  readonly name: string;
  readonly bytes: number;
  readonly limit: number;
}

async function coreSizes(): Promise<Size[]> {
  const { outputFiles } = await build({
    entryPoints: ["mod.ts"],
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "es2024",
  });
  const { contents } = outputFiles[0] as { contents: Uint8Array };
  return [
    { name: "core, minified", bytes: contents.length, limit: 60_000 },
    {
      name: "core, minified and gzipped",
      bytes: gzipSync(contents, { level: 9 }).length,
      limit: 20_000,
    },
  ];
}

const helpers = globSync("native/prebuilt/*/libnumakit.so").sort().map((file): Size => ({
  name: file,
  bytes: statSync(file).size,
  limit: 400_000,
}));
const sizes = [...await coreSizes(), ...helpers];
for (const { name, bytes, limit } of sizes) {
  const verdict = bytes <= limit ? "" : "  TOO LARGE";
  process.stdout.write(`${String(bytes).padStart(8)} of ${limit} bytes  ${name}${verdict}\n`);
}
if (helpers.length !== 4 || sizes.some(({ bytes, limit }) => bytes > limit)) process.exitCode = 1;
