/**
 * Debian packages without installing any: an apt with lists, sources and a cache of its own, which needs no root and
 * leaves the machine's alone. Debian's signatures vouch for what comes.
 */
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { COMPILER_RELEASE, LIBC_RELEASE, SOURCES } from "./packages.ts";
import { run } from "./run.ts";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** The mirror that this system's own apt uses, unless another is named: old releases move to Debian's archive one day. */
const MIRROR = process.env["NUMAKIT_DEBIAN_MIRROR"] ?? configuredMirror();
/** Most of what the packages hold and nobody here uses. */
const UNUSED = [
  "./usr/share/*",
  "*/lto-dump*",
  "*/lto1",
  "*/lib?san*",
  "*/libhwasan*",
  "*/gconv/*",
];

function configuredMirror(): string {
  const format = "$(CODENAME) $(REPO_URI)";
  const targets = execFileSync("apt-get", ["indextargets", "--format", format], {
    encoding: "utf8",
  });
  const uri = new RegExp(`^${COMPILER_RELEASE} (\\S+)$`, "m").exec(targets)?.[1];
  if (uri === undefined) {
    throw new Error(
      `apt knows no mirror of ${COMPILER_RELEASE}: name one in NUMAKIT_DEBIAN_MIRROR`,
    );
  }
  return uri;
}

/** Fetches packages. Its lists take 70 MB: {@linkcode Apt.close} it. */
export class Apt {
  #folder: string;
  #ready = false;

  /** @param folder Where lists and packages are kept meanwhile. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  #apt(args: readonly string[], cwd?: string): void {
    const env = { APT_CONFIG: join(this.#folder, "apt.conf") };
    run("apt-get", ["-qq", ...args], cwd === undefined ? { env } : { env, cwd });
  }

  #prepare(): void {
    if (this.#ready) return;
    if (!fs.existsSync(KEYRING)) {
      throw new Error(`${KEYRING} is missing: apt-get install debian-archive-keyring`);
    }
    for (const folder of ["lists/partial", "cache/archives/partial", "parts"]) {
      fs.mkdirSync(join(this.#folder, folder), { recursive: true });
    }
    const signed = `signed-by=${KEYRING}`;
    const sources = [
      `deb [arch=amd64 ${signed}] ${MIRROR} ${COMPILER_RELEASE} main`,
      `deb [arch=amd64,arm64 ${signed}] ${MIRROR} ${LIBC_RELEASE} main`,
      `deb-src [${signed}] ${MIRROR} ${COMPILER_RELEASE} main`,
    ];
    fs.writeFileSync(join(this.#folder, "sources.list"), `${sources.join("\n")}\n`);
    fs.writeFileSync(join(this.#folder, "status"), "");
    const settings: Record<string, string> = {
      "Dir::Etc::main": "/dev/null",
      "Dir::Etc::parts": join(this.#folder, "parts"),
      "Dir::Etc::sourcelist": join(this.#folder, "sources.list"),
      "Dir::Etc::sourceparts": join(this.#folder, "parts"),
      "Dir::Etc::preferencesparts": join(this.#folder, "parts"),
      "Dir::State": this.#folder,
      "Dir::State::lists": join(this.#folder, "lists"),
      "Dir::State::status": join(this.#folder, "status"),
      "Dir::Cache": join(this.#folder, "cache"),
      "APT::Architecture": "amd64",
      "Acquire::Languages": "none",
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";`);
    // How the machine reaches the network, and nothing else: its apt may have hooks that run after every update.
    const network = run("apt-config", ["dump", "Acquire"]).stdout;
    lines.push(...network.match(/^Acquire::(https?|Check-|ForceIPv|Retries).*$/gm) ?? []);
    // As root apt would switch to a user who can't write here.
    if (process.getuid?.() === 0) lines.push('APT::Sandbox::User "root";');
    lines.push('APT::Architectures { "amd64"; "arm64"; };');
    fs.writeFileSync(join(this.#folder, "apt.conf"), `${lines.join("\n")}\n`);
    this.#apt(["update"]);
    this.#ready = true;
  }

  /** Unpacks packages (`name:arch=version`) into a folder, which is there whole or not at all. */
  unpack(packages: readonly string[], folder: string): void {
    fetchOnce(folder, packages, (partial) => {
      this.#prepare();
      const debs = join(partial, ".debs");
      fs.mkdirSync(debs);
      this.#apt(["download", ...packages], debs);
      const excludes = UNUSED.map((pattern) => `--exclude=${pattern}`);
      for (const deb of fs.globSync("*.deb", { cwd: debs }).sort()) {
        const tarball = join(debs, "data.tar");
        run("sh", ["-c", 'dpkg-deb --fsys-tarfile "$1" > "$2"', "sh", join(debs, deb), tarball]);
        run("tar", ["-x", "-f", tarball, "-C", partial, "--no-same-owner", ...excludes]);
      }
      fs.rmSync(debs, { recursive: true });
      makeLinksRelative(partial);
    });
  }

  /** Unpacks the source packages, with Debian's patches applied. */
  unpackSources(folder: string): void {
    const packages = Object.entries(SOURCES).map(([name, version]) => `${name}=${version}`);
    fetchOnce(folder, packages, (partial) => {
      this.#prepare();
      this.#apt(["source", ...packages], partial);
    });
  }

  /** Forgets the lists. */
  close(): void {
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Fills a folder unless it has been filled for the same packages. */
function fetchOnce(
  folder: string,
  packages: readonly string[],
  fill: (partial: string) => void,
): void {
  const stamp = `${packages.join("\n")}\n`;
  const mark = (of: string): string => join(of, ".packages");
  if (fs.existsSync(mark(folder)) && fs.readFileSync(mark(folder), "utf8") === stamp) return;
  process.stderr.write(
    `build_native: unpacking into ${folder}, from ${MIRROR}: ${packages.join(" ")}\n`,
  );
  fs.mkdirSync(join(folder, ".."), { recursive: true });
  const partial = fs.mkdtempSync(`${folder}.`);
  try {
    fill(partial);
    fs.chmodSync(partial, 0o755); // mkdtemp makes it the owner's alone
    fs.writeFileSync(mark(partial), stamp);
    fs.rmSync(folder, { recursive: true, force: true });
    fs.renameSync(partial, folder);
  } catch (cause) {
    const hint = "A version that is gone from the mirror has a successor: raise it in " +
      "scripts/lib/native/packages.ts and build all helpers again. A release that is gone is in Debian's archive: " +
      "name that in NUMAKIT_DEBIAN_MIRROR.";
    throw new Error(`can't fetch ${packages.join(" ")}: ${String(cause)}\n${hint}`, { cause });
  } finally {
    fs.rmSync(partial, { recursive: true, force: true });
  }
}

/** Points absolute links into the folder: libdl.so must not lead to the C library of this machine. */
function makeLinksRelative(root: string): void {
  for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const link = join(entry.parentPath, entry.name);
    const to = fs.readlinkSync(link);
    if (!to.startsWith("/")) continue;
    const depth = link.slice(root.length + 1).split("/").length - 1;
    fs.unlinkSync(link);
    fs.symlinkSync("../".repeat(depth) + to.slice(1), link);
  }
}
