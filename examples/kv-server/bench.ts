/**
 * Measures the server and what it is compared with, on each runtime, one after the other; prints medians.
 *
 * Usage: bench.ts [--runs 5] [--seconds 5] [--capacity 16]
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type Command, machine, median, peakMiB, RUNTIMES, table } from "../figures.ts";
import type { LoadFigures } from "./load.ts";

const SERVERS = {
  "a map for each worker": "before/private.ts",
  "a map that workers ask for by messages": "before/owner.ts",
  "one `Cache`": "main.ts",
} as const;

type Figures = LoadFigures & { readonly memoryMiB: number };

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    seconds: { type: "string", default: "5" },
    capacity: { type: "string", default: "16" },
  },
});

const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Starts a server; resolves to its address when all of its workers listen. */
async function start([program, ...flags]: Command, file: string) {
  const options = ["--port", "0", "--per", "cpu", "--capacity", values.capacity];
  const server = spawn(program, [...flags, pathOf(file), ...options], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let url = "";
  for await (const line of createInterface({ input: server.stdout })) {
    url = /http:\S+/.exec(line)?.[0] ?? url;
    if (line === "ready") return { server, url };
  }
  throw new Error(`${program} ${file} did not start`);
}

async function stop(server: ChildProcess): Promise<void> {
  const exited = once(server, "exit");
  // Not server.kill: of a process that it was called for, Deno says that a signal ended it.
  process.kill(server.pid as number, "SIGTERM");
  const [status] = await exited;
  if (status !== 0) throw new Error(`the server ended with status ${status}`);
}

/** The load always comes from Node, so that only the server differs. */
async function measure(runtime: Command, file: string): Promise<Figures> {
  const { server, url } = await start(runtime, file);
  try {
    const [program, ...flags] = RUNTIMES["Node"] as Command;
    const command = [...flags, pathOf("load.ts"), url, values.seconds];
    const { stdout } = await promisify(execFile)(program, command);
    return { ...JSON.parse(stdout) as LoadFigures, memoryMiB: peakMiB(server.pid as number) };
  } finally {
    await stop(server);
  }
}

console.log(machine());
const rounds: Map<string, Figures[]> = new Map();
for (let run = 0; run < Number(values.runs); run++) {
  for (const [runtime, command] of Object.entries(RUNTIMES)) {
    for (const [name, file] of Object.entries(SERVERS)) {
      const row = `${runtime}|${name}`;
      rounds.set(row, [...rounds.get(row) ?? [], await measure(command, file)]);
    }
  }
}
const head = ["runtime", "values in", "requests/s", "p50 µs", "p99 µs", "found", "MiB", "errors"];
const rows = Array.from(rounds, ([row, figures]) => {
  const of = (name: keyof Figures): number => median(figures.map((one) => one[name]));
  return [
    ...row.split("|"),
    ...(["requestsPerSecond", "p50Us", "p99Us"] as const).map((name) => of(name).toFixed(0)),
    `${(100 * of("hitRatio")).toFixed(1)} %`,
    of("memoryMiB").toFixed(0),
    String(of("errors")),
  ];
});
console.log(`\n${table(head, rows)}`);
