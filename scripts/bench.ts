/** Starts bench/run.ts on the runtime that was asked for. */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";

const USAGE =
  `scripts/bench SUITE... [--runtime bun|deno|node] [--quick] [--only TEXT] [--json FILE]
              [--docs]

  SUITE      ancestor, caches, channels, growth, maps, memory, ordered, queues, readers, rings, slab,
             sync, start, tasks or fairness; or lines alone, which counts lines in emulated machines (it needs scripts/bootstrap --test, and
             takes long)
  --runtime  what it runs on. Default: bun
  --quick    shorter, for a look; its figures are not to be quoted
  --only     only comparisons in whose names this is
  --json     also writes the figures to a file
  --docs     lines only: also writes docs/evidence.json and what is made of it (docs/evidence.md, README.md)

The last column says why a figure is not to be relied on: it is noisy when its 90th percentile is more than twice its 10th.
Threads run from TypeScript sources here, so that starting one takes longer than from a package, most of all on Node.
`;

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bun: [".tools/bin/bun"],
  deno: [".tools/bin/deno", "run", "--allow-all"],
  node: [".tools/bin/node", "--disable-warning=ExperimentalWarning"],
};

function parseOptions() {
  return parseArgs({
    allowPositionals: true,
    options: {
      runtime: { type: "string", default: "bun" },
      quick: { type: "boolean", default: false },
      only: { type: "string" },
      json: { type: "string" },
      docs: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

function readOptions(): ReturnType<typeof parseOptions> {
  try {
    return parseOptions();
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${USAGE}`);
    process.exit(2);
  }
}

const { values, positionals } = readOptions();
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const isLines = positionals.includes("lines");
if (isLines && (positionals.length > 1 || values.runtime !== "bun")) {
  process.stderr.write("bench: lines has its own runtimes: give it alone\n");
  process.exit(2);
}
if (values.docs && (!isLines || values.quick)) {
  process.stderr.write("bench: --docs is for lines, and not for a quick look\n");
  process.exit(2);
}
const command = COMMANDS[values.runtime];
if (command === undefined) {
  process.stderr.write(`bench: the runtime is "${values.runtime}"; give bun, deno or node\n`);
  process.exit(2);
}
const [program, ...flags] = command as [string, ...string[]];
const options = [
  ...(values.quick ? ["--quick"] : []),
  ...(values.only === undefined ? [] : ["--only", values.only]),
  ...(values.json === undefined ? [] : ["--json", values.json]),
  ...(values.docs ? ["--docs"] : []),
];
const suite = isLines ? ["bench/lines.ts"] : ["bench/run.ts", ...positionals];
const { status } = spawnSync(program, [...flags, ...suite, ...options], { stdio: "inherit" });
process.exitCode = status ?? 1;
