/**
 * Tarballs that are the same, byte for byte, whenever and wherever they are made.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { globSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { extract, pack } from "tar-stream";

/** The time npm gives every file. */
const MTIME = new Date("1985-10-26T08:15:00Z");
/** A gzip header says which system wrote it; this is "unknown". */
const GZIP_OS_BYTE = 9;
const GZIP_OS_UNKNOWN = 255;

/** What npm calls the tarball of a package. */
export function tarballName(name: string, version: string): string {
  return `${name.replace(/^@/, "").replace("/", "-")}-${version}.tgz`;
}

function isProgram(path: string, bytes: Buffer): boolean {
  return path.endsWith(".so") || bytes.subarray(0, 2).toString() === "#!";
}

async function collect(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/**
 * Packs a folder as npm does, with everything in it.
 *
 * @param folder The folder.
 * @param leaveOut Says which files do not come along.
 * @returns The tarball.
 */
export async function packFolder(
  folder: string,
  leaveOut: (path: string) => boolean = () => false,
): Promise<Buffer> {
  const paths = globSync("**", { cwd: folder })
    .filter((path) => statSync(join(folder, path)).isFile() && !leaveOut(path))
    .sort();
  const tar = pack();
  for (const path of paths) {
    const bytes = readFileSync(join(folder, path));
    const mode = isProgram(path, bytes) ? 0o755 : 0o644;
    const owner = { uid: 0, gid: 0, uname: "", gname: "" };
    tar.entry({ name: `package/${path}`, mode, mtime: MTIME, ...owner }, bytes);
  }
  tar.finalize();
  const zipped = gzipSync(await collect(tar), { level: 9 });
  zipped[GZIP_OS_BYTE] = GZIP_OS_UNKNOWN;
  return zipped;
}

/** The files of a tarball, by their path in the package; where one is there twice, the first. */
export async function readTarball(tarball: Uint8Array): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.end(gunzipSync(tarball));
  for await (const entry of reader) {
    const path = entry.header.name.replace(/^[^/]+\//, "");
    const bytes = await collect(entry);
    if (entry.header.type === "file" && !files.has(path)) files.set(path, bytes);
  }
  return files;
}

/** Writes the files of a tarball to a folder. */
export async function unpack(tarball: Uint8Array, folder: string): Promise<void> {
  for (const [path, bytes] of await readTarball(tarball)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
}
