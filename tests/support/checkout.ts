import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

function findCheckout(): URL {
  let folder = new URL("./", import.meta.url);
  while (!existsSync(new URL("package-lock.json", folder))) {
    const parent = new URL("../", folder);
    if (parent.href === folder.href) throw new Error("the tests run outside a checkout");
    folder = parent;
  }
  return folder;
}

/** The checkout's folder: the tests also run from a compiled copy below it. */
export const checkout: URL = findCheckout();

/** A file of the checkout, as a path. */
export function checkoutFile(path: string): string {
  return fileURLToPath(new URL(path, checkout));
}

/** A module beside the asking one, with the asking one's ending: `.ts` as written, `.js` when compiled. */
export function sibling(base: string, path: string): URL {
  return new URL(`${path}.${base.endsWith(".ts") ? "ts" : "js"}`, base);
}

/** What a child process said. */
export interface Ran {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Whether the tests run on Bun. */
export const onBun: boolean = "Bun" in globalThis;
/** Whether the tests run on Deno. */
export const onDeno: boolean = "Deno" in globalThis;
/** Whether the tests run on Node 20, from compiled copies. */
export const onNode20: boolean = process.versions.node.startsWith("20.") &&
  !("Bun" in globalThis) &&
  !onDeno;

/**
 * Runs a module in a process of its own, on the runtime of the tests. It may take as long as it takes: scripts/test watches
 * the whole suite (scripts/lib/host_progress.ts).
 */
export function runModule(
  module: URL,
  options: {
    readonly args?: readonly string[];
    readonly env?: Record<string, string>;
    readonly denoFlags?: readonly string[];
    /** Whether it is run once more when Deno crashes at its exit. Default: true. */
    readonly again?: boolean;
    /** A program that runs what it is given, and its own arguments. */
    readonly within?: readonly string[];
  } = {},
): Ran {
  const { args = [], env = {}, denoFlags = ["--allow-all"], within = [], again = true } = options;
  const flags = onDeno ? ["run", "--no-prompt", ...denoFlags] : [];
  const [program, ...words] = [
    ...within,
    ...[process.execPath, ...flags, fileURLToPath(module), ...args],
  ];
  const run = (): Ran => {
    const { status, signal, stdout, stderr } = spawnSync(
      program as string,
      words,
      { env: { ...process.env, ...env }, encoding: "utf8" },
    );
    return { status, signal, stdout, stderr };
  };
  const ran = run();
  if (!onDeno || !again) return ran;
  // Deno 2.9 crashes now and then when a process that had workers exits, also without numakit (docs/runtimes.md).
  const crashed = ran.signal === "SIGSEGV" || (within.length > 0 && ran.status === 128 + 11);
  // The gate counts them (scripts/lib/exits.ts): what crashes often is a fault of ours.
  const file = process.env["NUMAKIT_EXITS"];
  if (file !== undefined) appendFileSync(file, `${crashed ? "crashed" : "ended"} ${module}\n`);
  return crashed ? run() : ran;
}
