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
  /** How many times longer this machine may take. Default: 1. */
  readonly slowness?: number;
}

/** The most that a cost may be, here. */
function allowed({ name, limit, slowness = 1 }: Cost): number {
  return (NOTES[name]?.limit ?? limit) * slowness;
}

/** Costs that may exceed their limit: up to where, and what is had for it. */
const LAYERS =
  "topology reads hwloc's XML, memory has slabs, pools, arrays and replicas, sync has twenty locks and counters, structs " +
  "has rings, channels, deques, queues, maps, caches and records, sched policies as text, threads " +
  "that move and groups of them, tasks a pool, loops, fork and join";
const NOTES: Readonly<Record<string, { readonly limit: number; readonly why: string }>> = {
  "core, minified": { limit: 545_000, why: LAYERS },
  "core, minified and gzipped": { limit: 182_000, why: LAYERS },
  "import on bun": { limit: 40, why: LAYERS },
  "import on deno": { limit: 31, why: LAYERS },
  "import on node": { limit: 62, why: LAYERS },
  "import on node24": { limit: 58, why: LAYERS },
  "import on node22": { limit: 46, why: LAYERS },
  "import on node20": { limit: 52, why: LAYERS },
};

const HELPERS = 4;
/** Import times are noisy upwards only, so the fastest of these tells what the code costs. */
const IMPORTS = 9;
/** So often, and so long apart, they are measured again where they seem too slow. */
const AGAIN = 6;
const CALM_MS = 5000;
/**
 * What the import of the reference module takes where the limits are meant for. On a slower machine an import of numakit may
 * take as many times longer as that does.
 */
const REFERENCE_MS: Readonly<Record<string, number>> = {
  bun: 20,
  deno: 13,
  node: 19,
  node24: 16,
  node22: 17,
  node20: 22,
};
/** Functions of the reference module: about as much code as numakit has. */
const REFERENCE_FUNCTIONS = 600;

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

/** A module with so much code, none of which runs but its first lines. */
function referenceModule(): string {
  const one = (index: number): string =>
    `export class C${index} {
  #at = ${index};
  static made = new C${index}();
  next(by = 1) { for (let i = 0; i < by; i++) this.#at = (this.#at * 31 + i) | 0; return this.#at; }
  get shown() { return \`C${index} at \${this.#at}, \${this.next().toString(16)}\`; }
}`;
  return Array.from({ length: REFERENCE_FUNCTIONS }, (_, index) => one(index)).join("\n");
}

/** Times the import of the npm package as it is installed, in processes of their own. */
function importTimes(): Cost[] {
  const folder = mkdtempSync(join(tmpdir(), "numakit-costs-"));
  try {
    output(".tools/bin/bun", ["scripts/build_npm.ts", "--packer", "deno", "--out", folder]);
    const module = JSON.stringify(join(folder, "numakit/mod.js"));
    const reference = join(folder, "reference.mjs");
    writeFileSync(reference, referenceModule());
    const program = join(folder, "import.mjs");
    writeFileSync(
      program,
      `const start = performance.now();
      await import(${JSON.stringify(reference)});
      const between = performance.now();
      await import(${module});
      console.log(between - start, performance.now() - between);`,
    );
    return Object.entries(RUNTIMES).map(([runtime, args]): Cost => {
      const measure = (): { value: number; slowness: number } => {
        const times = Array.from(
          { length: IMPORTS },
          () => output(`.tools/bin/${runtime}`, [...args, program]).split(" ").map(Number),
        );
        const least = (index: number): number =>
          Math.min(...times.map((pair) => pair[index] as number));
        const slowness = Math.max(1, least(0) / (REFERENCE_MS[runtime] as number));
        return { value: least(1), slowness };
      };
      const name = `import on ${runtime}`;
      const limit = runtime.startsWith("node") ? 30 : 15;
      let cost: Cost = { name, unit: "ms", limit, ...measure() };
      // A machine that was busy just then is no cost: it has some moments to calm down.
      for (let more = 0; more < AGAIN && cost.value > allowed(cost); more++) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, CALM_MS);
        cost = { ...cost, ...measure() };
      }
      return cost;
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
for (const cost of costs) {
  const { name, value, unit, limit, slowness = 1 } = cost;
  const note = NOTES[name];
  const tooMuch = value > allowed(cost);
  if (tooMuch) process.exitCode = 1;
  const shown = (figure: number) => `${unit === "ms" ? figure.toFixed(1) : figure} ${unit}`;
  const verdict = tooMuch
    ? "EXCEEDED"
    : value > limit * slowness
    ? `up to ${shown(allowed(cost))}: ${note?.why}`
    : "";
  table.push([name, shown(value), shown(limit * slowness), verdict]);
}
process.stdout.write(`${table}\n`);
