/** What a built helper asks of a system and shows to it, and whether that is what was promised. */
import { readFileSync } from "node:fs";
import { run } from "./run.ts";
import { MAX_BYTES, MAX_GLIBC } from "./targets.ts";
import type { Toolchain } from "./toolchain.ts";

/** What is in a shared library. */
export interface Inspection {
  readonly bytes: number;
  /** The newest glibc version that one of its symbols names, weak ones included. */
  readonly glibc: readonly number[];
  readonly needed: readonly string[];
  readonly exported: readonly string[];
  readonly problems: readonly string[];
}

function compareVersions(left: readonly number[], right: readonly number[]): number {
  const length = Math.max(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The functions that an export map names. */
export function mapExports(map: string): string[] {
  const globals = /global:([\s\S]*?)local:/.exec(map)?.[1] ?? "";
  return [...globals.matchAll(/(\w+);/g)].map(([, name]) => name as string).sort();
}

/** "   5: 0000000000012345    42 FUNC    GLOBAL DEFAULT   12 nk_abi_version@@NUMAKIT_1" */
function exportedSymbols(table: string): string[] {
  const pattern = /^\s*\d+: \S+\s+\S+ \S+\s+(?:GLOBAL|WEAK)\s+\S+\s+\d+ (\w+)@@NUMAKIT_1$/gm;
  return [...table.matchAll(pattern)].map(([, name]) => name as string).sort();
}

/** Every other thing that is defined and visible. The first kind is the version itself, which has no section. */
function strayExports(table: string): string[] {
  const pattern =
    /^\s*\d+: \S+\s+\S+ \S+\s+(?:GLOBAL|WEAK|UNIQUE)\s+\S+\s+\d+ (?!\w+@@NUMAKIT_1$)(.*)$/gm;
  return [...table.matchAll(pattern)].map(([, name]) => name as string);
}

function glibcVersion(versions: string): readonly number[] {
  return [...versions.matchAll(/\bName: GLIBC_([\d.]+)/g)]
    .map(([, version]) => (version as string).split(".").map(Number))
    .reduce((most, version) => compareVersions(version, most) > 0 ? version : most, []);
}

/**
 * Looks into a helper.
 *
 * @param exports The functions that it has to export.
 * @param folders Paths that must not be in it.
 */
export function inspect(
  { readelf, target }: Toolchain,
  library: string,
  exports: readonly string[],
  folders: readonly string[],
): Inspection {
  const elf = (...args: string[]): string => run(readelf, ["--wide", ...args, library]).stdout;
  const content = readFileSync(library);
  const dynamic = elf("--dynamic");
  const symbols = elf("--dyn-syms");
  const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name as string);
  const versions = elf("--version-info");
  const glibc = glibcVersion(versions);
  const exported = exportedSymbols(symbols);

  const problems: string[] = [];
  const expect = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  expect(content.length <= MAX_BYTES, `${content.length} bytes, more than ${MAX_BYTES}`);
  expect(
    compareVersions(glibc, MAX_GLIBC) <= 0,
    `asks for glibc ${glibc.join(".")}, newer than ${MAX_GLIBC.join(".")}`,
  );
  expect(!/\bName: GLIBC_[A-Z]/.test(versions), "asks for an interface that glibc keeps to itself");
  expect((glibc.length > 0) === (target.libc === "gnu"), `not made for ${target.libc}`);
  for (const name of needed) {
    expect(target.libraries.includes(name), `needs ${name}, which is not on every ${target.name}`);
  }
  expect(needed.length > 0, "needs no library at all: the C library must not be inside");
  expect(
    exported.join() === [...exports].sort().join(),
    `exports ${exported.join(", ")}; the map says ${exports.join(", ")}`,
  );
  const stray = strayExports(symbols);
  expect(stray.length === 0, `shows ${stray.join(", ")} to other libraries`);
  expect(!/\((RPATH|RUNPATH|TEXTREL)\)/.test(dynamic), "has a search path or text relocations");
  expect(/\bNODELETE\b/.test(dynamic), "can be unloaded under its threads");
  expect(/GNU_STACK.* RW /.test(elf("--program-headers")), "wants an executable stack");
  for (const folder of folders) {
    expect(!content.includes(folder), `has a path of this machine in it: ${folder}`);
  }
  return { bytes: content.length, glibc, needed, exported, problems };
}
