/** What the examples' benchmarks have in common: the runtimes they run on, and how they print figures. */
import { topology } from "@numakit/numakit";
import { existsSync, readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { fileURLToPath } from "node:url";

/** Runs a module on a runtime: program and arguments. */
export type Command = readonly [string, ...string[]];

/** The runtimes of the checkout; those in the PATH where it has none. */
export const RUNTIMES: Readonly<Record<string, Command>> = {
  Bun: [programOf("bun")],
  Deno: [programOf("deno"), "run", "--allow-all", "--unstable-net"],
  Node: [programOf("node"), "--disable-warning=ExperimentalWarning"],
};

function programOf(name: string): string {
  const path = fileURLToPath(new URL(`../.tools/bin/${name}`, import.meta.url));
  return existsSync(path) ? path : name;
}

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1] as number;
}

/** The most memory that a process that runs has had, in MiB. Default: this one. */
export function peakMiB(pid: number | "self" = "self"): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
}

/** A table, as Markdown has it. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column < 2 ? "---" : "--:"));
  return [head, rule, ...rows].map((row) => `| ${row.join(" | ")} |\n`).join("");
}

/** The machine, and how busy it was before. */
export function machine(): string {
  const { cpus: all, nodes, domains } = topology();
  const shape = `${all.size} CPUs, ${domains.length} L3 domains, ${nodes.length} nodes`;
  return `${cpus()[0]?.model}: ${shape}; load average before the run: ${loadavg()[0]?.toFixed(1)}`;
}
