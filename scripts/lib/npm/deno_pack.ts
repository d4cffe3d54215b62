import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { unpack } from "./tarball.ts";

/** Modules without public types: their declarations are of no use to anybody. */
const NO_TYPES = /^Could not generate types for /;

/**
 * Packs with `deno pack`.
 *
 * @param sources The staged sources.
 * @param out The folder that gets JavaScript and declarations, side by side.
 */
export async function packWithDeno(sources: string, out: string): Promise<void> {
  const tarball = `${out}.tgz`;
  const { status, stderr } = spawnSync(
    resolve(".tools/bin/deno"),
    ["pack", "--allow-dirty", "--no-source-maps", "--output", tarball],
    { cwd: sources, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" } },
  );
  if (status !== 0) {
    const lines = stderr.split("\n").filter((line) => !NO_TYPES.test(line));
    throw new Error(`deno pack failed:\n${lines.join("\n")}`);
  }
  await unpack(readFileSync(tarball), out);
}
