/**
 * What a user pays before numakit does anything: bytes of JavaScript, bytes of the prebuilt helpers, and the time that
 * an import takes. Prints a table and fails where a limit is exceeded without a note.
 */
import Table from "cli-table3";
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { gzipSync } from "node:zlib";

interface Cost {
  readonly name: string;
  readonly value: number;
  readonly unit: "B" | "ms";
  readonly limit: number;
}

/** Costs that may exceed their limit: up to where, and what is had for it. */
const LAYERS = "memory has slabs, pools, arrays and replicas, sync has twenty locks and counters";
const NOTES: Readonly<Record<string, { readonly limit: number; readonly why: string }>> = {
  "core, minified": { limit: 220_000, why: LAYERS },
  "core, minified and gzipped": { limit: 72_000, why: LAYERS },
  "import on bun": { limit: 22, why: LAYERS },
};

const HELPERS = 4;
/** Import times are noisy upwards only, so the fastest of these tells what the code costs. */
const IMPORTS = 9;
/** So often, and so long apart, they are measured again where they seem too slow. */
const AGAIN = 6;
const CALM_MS = 5000;
const RUNTIMES: Readonly<Record<string, readonly string[]>> = {
  bun: [],
  deno: ["run", "--allow-all"],
  node: [],
  node24: [],
  node22: [],
  node20: [],
};

async function coreSizes(): Promise<Cost[]> {
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
  const gzipped = gzipSync(contents, { level: 9 }).length;
  return [
    { name: "core, minified", value: contents.length, unit: "B", limit: 60_000 },
    { name: "core, minified and gzipped", value: gzipped, unit: "B", limit: 20_000 },
  ];
}

function helperSizes(): Cost[] {
  const files = globSync("native/prebuilt/*/libnumakit.so").sort();
  if (files.length !== HELPERS) throw new Error(`${files.length} helpers instead of ${HELPERS}`);
  return files.map((name): Cost => ({
    name,
    value: statSync(name).size,
    unit: "B",
    limit: 400_000,
  }));
}

function output(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ended with exit status ${status}:\n${stderr}`);
  return stdout;
}

/** Times the import of the npm package as it is installed, in processes of their own. */
function importTimes(): Cost[] {
  const folder = mkdtempSync(join(tmpdir(), "numakit-costs-"));
  try {
    output(".tools/bin/bun", ["scripts/build_npm.ts", "--packer", "deno", "--out", folder]);
    const module = JSON.stringify(join(folder, "numakit/mod.js"));
    const program = join(folder, "import.mjs");
    writeFileSync(
      program,
      `const start = performance.now();
      await import(${module});
      console.log(performance.now() - start);`,
    );
    return Object.entries(RUNTIMES).map(([runtime, args]): Cost => {
      const once = (): number => Number(output(`.tools/bin/${runtime}`, [...args, program]));
      const fastest = (): number => Math.min(...Array.from({ length: IMPORTS }, once));
      const name = `import on ${runtime}`;
      const limit = runtime.startsWith("node") ? 30 : 15;
      let value = fastest();
      // A machine that was busy just then is no cost: it has some moments to calm down.
      for (let more = 0; more < AGAIN && value > (NOTES[name]?.limit ?? limit); more++) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, CALM_MS);
        value = Math.min(value, fastest());
      }
      return { name, value, unit: "ms", limit };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const costs = [...await coreSizes(), ...helperSizes(), ...importTimes()];
const table = new Table({
  head: ["", "is", "limit", ""],
  colAligns: ["left", "right", "right", "left"],
  style: { head: [], border: [], compact: true },
});
for (const { name, value, unit, limit } of costs) {
  const note = NOTES[name];
  const tooMuch = value > (note?.limit ?? limit);
  if (tooMuch) process.exitCode = 1;
  const shown = unit === "ms" ? value.toFixed(1) : String(value);
  const verdict = tooMuch ? "EXCEEDED" : value > limit ? `up to ${note?.limit}: ${note?.why}` : "";
  table.push([name, `${shown} ${unit}`, `${limit} ${unit}`, verdict]);
}
process.stdout.write(`${table}\n`);
