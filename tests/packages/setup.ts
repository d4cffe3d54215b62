import type { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { packFolder } from "../../scripts/lib/npm/tarball.ts";
import { checkoutFile } from "../support/checkout.ts";
import { type Registry, startRegistry } from "./registry.ts";
import { Sandbox } from "./sandbox.ts";

/** Packages that consumers need besides numakit's own. */
const INSTALLED = ["@types/node", "koffi"];

/** What a test file works with. */
export interface Contract {
  readonly sandbox: Sandbox;
  readonly registry: Registry;
  /** The tarball under test. */
  readonly tarball: Buffer;
  readonly helpers: readonly Buffer[];
  close(): void;
}

/** Builds the packages into the folder, with the packer that needs no network. */
export function buildPackages(out: string): void {
  const { status, stderr } = spawnSync(
    checkoutFile(".tools/bin/bun"),
    ["scripts/build_npm.ts", "--packer", "deno", "--out", out],
    { cwd: checkoutFile("."), encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`build_npm failed:\n${stderr}`);
}

/**
 * Reads the package to test, and the helpers beside it.
 *
 * @param path What `scripts/build_npm --out` was given; or the tarball in it, or the package's folder in it.
 */
export async function readPackages(
  path: string,
): Promise<{ tarball: Buffer; helpers: Buffer[] }> {
  if (statSync(path).isDirectory() && existsSync(join(path, "package.json"))) {
    const folders = globSync(join(dirname(path), "@numakit/*"));
    const helpers = await Promise.all(folders.map((folder) => packFolder(folder)));
    return { tarball: await packFolder(path), helpers };
  }
  const file = statSync(path).isDirectory() ? globSync(join(path, "numakit-[0-9]*.tgz"))[0] : path;
  if (file === undefined) throw new Error(`there is no numakit-*.tgz in ${path}`);
  const helpers = globSync(join(dirname(file), "numakit-linux-*.tgz"));
  return { tarball: readFileSync(file), helpers: helpers.map((helper) => readFileSync(helper)) };
}

/**
 * Makes an empty machine that can install the package under test.
 *
 * @param named Where it is; default: what `NUMAKIT_PACKAGE` names, or else one that is built now.
 */
export async function setUp(named = process.env["NUMAKIT_PACKAGE"]): Promise<Contract> {
  const built = mkdtempSync(join(tmpdir(), "numakit-built-"));
  if (named === undefined) buildPackages(built);
  const { tarball, helpers } = await readPackages(resolve(named ?? built));
  rmSync(built, { recursive: true });
  const registry = await startRegistry(
    [tarball, ...helpers],
    INSTALLED,
    checkoutFile("node_modules"),
  );
  const sandbox = new Sandbox(registry.url);
  return {
    sandbox,
    registry,
    tarball,
    helpers,
    close(): void {
      registry.close();
      sandbox.remove();
    },
  };
}
