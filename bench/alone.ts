/**
 * Measures a comparison in a process of its own. Engines compile a function for all that a process has used it for: what
 * a comparison costs must not depend on those before it.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { unpinned } from "../mod.ts";
import type { Row } from "./harness.ts";

/** What `bench/run.ts` is given in that process. */
export const ALONE = "--alone";

/**
 * Measures.
 *
 * @param suite The suite's name.
 * @param index Which of its comparisons.
 * @param options Options of `bench/run.ts`.
 * @returns The rows.
 */
export function measureAlone(suite: string, index: number, options: readonly string[]): Row[] {
  const folder = mkdtempSync(join(tmpdir(), "numakit-bench-"));
  const file = join(folder, "rows.json");
  try {
    const flags = "Deno" in globalThis ? ["run", "--allow-all"] : process.execArgv;
    const main = fileURLToPath(new URL("./run.ts", import.meta.url));
    const command = [...flags, main, suite, ALONE, `${index}`, "--json", file, ...options];
    const { status } = unpinned(() => spawnSync(process.execPath, command, { stdio: "inherit" }));
    if (status !== 0) throw new Error(`comparison ${index} of ${suite} ended with ${status}`);
    return (JSON.parse(readFileSync(file, "utf8")) as { results: Row[] }).results;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
