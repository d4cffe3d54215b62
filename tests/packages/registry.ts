/**
 * A small npm registry on 127.0.0.1: what the contract test installs from, so that it needs no network.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { packFolder, readTarball } from "../../scripts/lib/npm/tarball.ts";

/** The part of a package.json that matters here. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly scripts?: unknown;
}

interface Published {
  readonly manifest: Manifest;
  readonly tarball: Buffer;
}

/** A running registry. */
export interface Registry {
  /** Where it listens. */
  readonly url: string;
  /** What was asked for and is not here. */
  readonly missing: readonly string[];
  close(): void;
}

function digest(bytes: Buffer, algorithm: string, encoding: "hex" | "base64"): string {
  return createHash(algorithm).update(bytes).digest(encoding);
}

/** A package for another system: known, never to be installed. */
function elsewhere(name: string, version: string): Manifest {
  return { name, version, os: ["none"], cpu: ["none"] } as Manifest;
}

/** Packs what the checkout has installed, with what it depends on. */
async function packInstalled(
  names: readonly string[],
  nodeModules: string,
): Promise<Map<string, Published>> {
  const packages = new Map<string, Published>();
  const todo = [...names];
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (packages.has(name)) continue;
    const folder = join(nodeModules, name);
    const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Manifest;
    // What koffi is built from is large and of no use to who installs it.
    const tarball = await packFolder(
      folder,
      (path) => /^(vendor|doc)\//.test(path) && name === "koffi",
    );
    packages.set(name, { manifest, tarball });
    todo.push(...Object.keys(manifest.dependencies ?? {}));
    for (const [optional, version] of Object.entries(manifest.optionalDependencies ?? {})) {
      if (existsSync(join(nodeModules, optional))) todo.push(optional);
      else packages.set(optional, { manifest: elsewhere(optional, version), tarball });
    }
  }
  return packages;
}

function packument({ manifest, tarball }: Published, url: string): string {
  const { name, version } = manifest;
  // Nobody's install script is to run; registries tell this with hasInstallScript.
  const { scripts: _, ...rest } = manifest;
  const dist = {
    tarball: `${url}/-/${encodeURIComponent(name)}.tgz`,
    shasum: digest(tarball, "sha1", "hex"),
    integrity: `sha512-${digest(tarball, "sha512", "base64")}`,
  };
  return JSON.stringify({
    name,
    "dist-tags": { latest: version },
    versions: { [version]: { ...rest, dist } },
    time: { [version]: "2026-01-01T00:00:00.000Z" },
  });
}

/**
 * Starts a registry.
 *
 * @param tarballs Packages to publish.
 * @param installed Packages of the checkout's node_modules to publish with their dependencies.
 * @param nodeModules That folder.
 */
export async function startRegistry(
  tarballs: readonly Buffer[],
  installed: readonly string[],
  nodeModules: string,
): Promise<Registry> {
  const packages = await packInstalled(installed, nodeModules);
  for (const tarball of tarballs) {
    const text = (await readTarball(tarball)).get("package.json")?.toString() ?? "{}";
    const manifest = JSON.parse(text) as Manifest;
    packages.set(manifest.name, { manifest, tarball });
  }
  const missing: string[] = [];
  let url = "";
  const server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "/").replace(/\?.*/, "").slice(1));
    const file = /^-\/(.+)\.tgz$/.exec(path);
    const found = packages.get(file?.[1] ?? path);
    if (found === undefined) {
      missing.push(`${request.method} ${path}`);
      response.writeHead(404, { "content-type": "application/json" }).end('{"error":"not found"}');
    } else if (file === null) {
      response.writeHead(200, { "content-type": "application/json" }).end(packument(found, url));
    } else {
      response.writeHead(200, { "content-type": "application/octet-stream" }).end(found.tarball);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    missing,
    close(): void {
      server.closeAllConnections();
      server.close();
    },
  };
}
