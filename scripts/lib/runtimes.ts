/** How each runtime runs test files. */

/** Makes a command, given the file it writes its JUnit report to. */
export type Command = (report: string) => string[];

/** What Node always gets. */
export const NODE_FLAGS: readonly string[] = [
  "--disable-warning=ExperimentalWarning",
  "--test",
  "--test-reporter=junit",
];

/** More words for a runtime. */
export interface RuntimeFlags {
  readonly bun?: readonly string[];
  readonly deno?: readonly string[];
  readonly node?: readonly string[];
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
      ...deno,
      `--junit-path=${report}`,
      ...files,
    ],
    "Node 26": (report) => [
      ".tools/bin/node",
      ...node,
      ...NODE_FLAGS,
      `--test-reporter-destination=${report}`,
      ...files,
    ],
  };
}
