/**
 * Other people's packages, which the command uses: they are in its file, so that who installs numakit gets no more than
 * numakit. Their licences come along in `THIRD-PARTY.md`.
 *
 * @module
 */
import { build, type Plugin } from "esbuild";
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { TARGET } from "./target.ts";

/** The file of the package with the licences. */
export const LICENSES_FILE = "THIRD-PARTY.md";

/** What packages require if it is there, and what the command never needs. */
const OPTIONAL = ["@colors/colors", "@mitata/counters", "bun:*"];

/** CommonJS in an ES module requires the runtime's modules. */
const REQUIRE = 'import { createRequire as __createRequire } from "node:module";\n' +
  "const require = __createRequire(import.meta.url);";

/** What the module that is given would be. */
const COMMAND = resolve("command.js");

/** The package's own files stay where they are. */
const OWN_FILES: Plugin = {
  name: "own-files",
  setup(build): void {
    build.onResolve(
      { filter: /^\.{1,2}\// },
      ({ path, importer }) => importer === COMMAND ? { path, external: true } : undefined,
    );
  },
};

/** What was put into a file. */
export interface Bundled {
  readonly code: string;
  /** The folders of the packages whose code is in it, sorted. */
  readonly packages: readonly string[];
}

/**
 * Puts the packages that a module imports into it.
 *
 * @param code The module.
 * @returns The module with them.
 */
export async function withPackages(code: string): Promise<Bundled> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: code, resolveDir: resolve("."), sourcefile: COMMAND },
    bundle: true,
    external: OPTIONAL,
    plugins: [OWN_FILES],
    banner: { js: REQUIRE },
    format: "esm",
    platform: "node",
    target: TARGET,
    metafile: true,
    write: false,
  });
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    // A module of which nothing is left comes along with none of its bytes.
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  );
  const folders = inputs.map(([path]) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const packages = [...new Set(folders)].filter((folder) => folder !== undefined).sort();
  return { code: outputFiles[0]?.text ?? "", packages };
}

/** What a package's author wants to be kept. */
function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(
    readFileSync(join(folder, "package.json"), "utf8"),
  ) as { name: string; version: string; license?: string };
  const [file] = globSync("{LICENSE,LICENCE,license,licence}*", { cwd: folder }).sort();
  if (file === undefined || license === undefined) {
    throw new Error(`${folder} has no licence that numakit's package could carry`);
  }
  const text = readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim();
  return `## ${name} ${version}\n\n${license}\n\n\`\`\`text\n${text}\n\`\`\`\n`;
}

/**
 * The licences of packages.
 *
 * @param packages Their folders.
 * @returns The text of `THIRD-PARTY.md`.
 */
export function licensesOf(packages: readonly string[]): string {
  return `# Third-party software\n\nThe \`numakit\` command (\`lib/cli/bin.js\`) contains these packages. ` +
    `What a program imports from numakit\ncontains none of them.\n\n${
      packages.map(licenseOf).join("\n")
    }`;
}
