/**
 * Makes the npm packages, each as a folder and as a tarball: `numakit`, and one with the C helper for each system.
 *
 * scripts/build_npm [--packer dnt|deno] [--out DIR]
 *
 * Two packers turn the sources into JavaScript and declarations: dnt where JSR can be reached, `deno pack` elsewhere.
 * All that npm knows and they don't, and all in which they differ, is finished here in one way for both.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { readManifest, sourceDigest } from "./lib/native/manifest.ts";
import { packWithDeno } from "./lib/npm/deno_pack.ts";
import { jsrRefusal, packWithDnt } from "./lib/npm/dnt.ts";
import { finish } from "./lib/npm/finish.ts";
import { helperManifest, mainManifest, readme } from "./lib/npm/manifest.ts";
import { helpers, stage } from "./lib/npm/stage.ts";
import { packFolder, tarballName } from "./lib/npm/tarball.ts";

const USAGE = `scripts/build_npm [--packer dnt|deno] [--out DIR]

  --packer  what makes JavaScript and declarations: dnt (needs JSR) or deno (deno pack).
            Default: dnt where JSR can be reached, otherwise deno
  --out     where folders and tarballs go. Default: build/npm
`;

function say(text: string): void {
  process.stderr.write(`build_npm: ${text}\n`);
}

/** Which packer to use, and why. */
function choosePacker(asked: string | undefined): "dnt" | "deno" {
  if (asked === "deno") return "deno";
  const refusal = jsrRefusal();
  if (refusal === undefined) return "dnt";
  if (asked === undefined) {
    say(`dnt cannot be had here (${refusal}): using deno pack`);
    return "deno";
  }
  say(
    `Cannot pack with dnt: JSR cannot be resolved (${refusal}). ` +
      "Go where jsr.io is reachable, or use --packer deno.",
  );
  process.exit(1);
}

function writeManifest(folder: string, manifest: Readonly<Record<string, unknown>>): void {
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Makes a package's folder from what `fill` puts there, and its tarball. */
async function makePackage(
  out: string,
  manifest: Readonly<Record<string, unknown>>,
  fill: (folder: string) => void | Promise<void>,
): Promise<void> {
  const { name, version } = manifest as { name: string; version: string };
  const folder = join(out, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await fill(folder);
  cpSync("LICENSE", join(folder, "LICENSE"));
  writeManifest(folder, manifest);
  const tarball = join(out, tarballName(name, version));
  writeFileSync(tarball, await packFolder(folder));
  say(`${folder} and ${tarball}`);
}

async function build(packer: "dnt" | "deno", out: string): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "numakit-npm-"));
  try {
    const sources = stage(join(work, "sources"));
    const packed = join(work, "packed");
    say(`packing with ${packer === "dnt" ? "dnt" : "deno pack"}`);
    if (packer === "dnt") packWithDnt(sources, packed);
    else await packWithDeno(sources, packed);
    await makePackage(out, mainManifest(), async (folder) => {
      await finish(packed, folder);
      writeFileSync(join(folder, "README.md"), readme());
    });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  for (const { target, file } of helpers()) {
    await makePackage(out, helperManifest(target), (folder) => {
      cpSync(file, join(folder, "libnumakit.so"));
      if (existsSync("native/licenses")) {
        cpSync("native/licenses", join(folder, "licenses"), { recursive: true });
        const page = join(folder, "licenses/README.md");
        // There it is one folder below the license, not two.
        writeFileSync(
          page,
          readFileSync(page, "utf8").replaceAll("](../../LICENSE", "](../LICENSE"),
        );
      }
      writeFileSync(
        join(folder, "README.md"),
        `# @numakit/${target}\n\nThe C helper of [numakit](https://www.npmjs.com/package/numakit) for ` +
          `${target}, with hwloc and libnuma inside. Install \`numakit\`; it brings this.\n`,
      );
    });
  }
}

const { values } = parseArgs({
  options: {
    packer: { type: "string" },
    out: { type: "string", default: "build/npm" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
} else if (values.packer !== undefined && !["dnt", "deno"].includes(values.packer)) {
  process.stderr.write(`build_npm: the packer is "${values.packer}"; give dnt or deno\n`);
  process.exitCode = 2;
} else if (readManifest(".").sources !== sourceDigest("native")) {
  say("Cannot pack: native/ has changed since its helpers were built: run scripts/build_native.");
  process.exitCode = 1;
} else {
  await build(choosePacker(values.packer), resolve(values.out));
}
