/** How each runtime runs test files. */
import process from "node:process";

/** Makes a command, given the file it writes its JUnit report to. */
export type Command = (report: string) => string[];

/** More words for a runtime. */
export interface RuntimeFlags {
  readonly bun?: readonly string[];
  readonly deno?: readonly string[];
  readonly node?: readonly string[];
}

/** Where Node finds test files, and what is beside them, as JavaScript (scripts/lib/node20.ts). */
export const COMPILED = "build/node20";

/** Keeps tests from ending their process. Its path is absolute: every thread of Node loads it, in whatever folder. */
function noExit(files: readonly string[]): string {
  const isCompiled = files.some((file) => file.startsWith(`${COMPILED}/`));
  const path = isCompiled ? `${COMPILED}/tests/support/no_exit.js` : "tests/support/no_exit.ts";
  return `${checkout}/${path}`;
}
const checkout = process.cwd();

/**
 * Makes the command that runs test files on Node.
 *
 * @param files The files, all of them as they are or all of them compiled.
 * @param flags More words for it.
 * @param program Which Node.
 */
export function nodeCommand(
  files: readonly string[],
  flags: readonly string[] = [],
  program = ".tools/bin/node",
): Command {
  return (report) => [
    program,
    ...flags,
    "--disable-warning=ExperimentalWarning",
    `--import=${noExit(files)}`,
    "--test",
    "--test-reporter=junit",
    `--test-reporter-destination=${report}`,
    ...files,
  ];
}

/** The commands by the runtimes' names. */
export function commandsFor(
  files: readonly string[],
  { bun = [], deno = [], node = [] }: RuntimeFlags = {},
): { readonly Bun: Command; readonly Deno: Command; readonly "Node 26": Command } {
  return {
    Bun: (report) => [
      ".tools/bin/bun",
      "test",
      "--timeout=900000",
      ...bun,
      "--reporter=junit",
      `--reporter-outfile=${report}`,
      ...files.map((file) => `./${file}`),
    ],
    Deno: (report) => [
      ".tools/bin/deno",
      "test",
      "--allow-all",
      "--no-check",
      "--quiet",
      `--preload=${noExit(files)}`,
      ...deno,
      `--junit-path=${report}`,
      ...files,
    ],
    "Node 26": nodeCommand(files, node),
  };
}
