/** Starts bench/run.ts on the runtime that was asked for. */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";

const USAGE = `scripts/bench SUITE... [--runtime bun|deno|node] [--quick] [--json FILE]

  SUITE      memory, readers, slab, sync, start or fairness
  --runtime  what it runs on. Default: bun
  --quick    shorter, for a look; its figures are not to be quoted
  --json     also writes the figures to a file
`;

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bun: [".tools/bin/bun"],
  deno: [".tools/bin/deno", "run", "--allow-all"],
  node: [".tools/bin/node", "--disable-warning=ExperimentalWarning"],
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runtime: { type: "string", default: "bun" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const command = COMMANDS[values.runtime];
if (command === undefined) {
  process.stderr.write(`bench: the runtime is "${values.runtime}"; give bun, deno or node\n`);
  process.exit(2);
}
const [program, ...flags] = command as [string, ...string[]];
const options = [
  ...(values.quick ? ["--quick"] : []),
  ...(values.json === undefined ? [] : ["--json", values.json]),
];
const { status } = spawnSync(program, [...flags, "bench/run.ts", ...positionals, ...options], {
  stdio: "inherit",
});
process.exitCode = status ?? 1;
