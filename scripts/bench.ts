/**
 * Starts bench/run.ts on the runtime that was asked for.
 *
 * scripts/bench SUITE... [--runtime bun|deno|node] [--quick] [--json FILE]
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";

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
  },
});
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
