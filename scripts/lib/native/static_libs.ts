/**
 * hwloc and libnuma as position-independent static libraries, out of Debian's source packages.
 *
 * hwloc is built without everything that would open other libraries or look at devices: no plugins, no I/O discovery,
 * its own XML reader. Of libnuma only the system calls are taken: the rest of it has a constructor that reads sysfs
 * when the library is loaded, for functions that the helper doesn't use.
 */
import * as fs from "node:fs";
import { join } from "node:path";
import { SOURCES } from "./packages.ts";
import { run } from "./run.ts";
import type { Toolchain } from "./toolchain.ts";

/** In sections of their own, so that the linker leaves out what the helper doesn't call. */
export const COMPILE_FLAGS: readonly string[] = ["-fPIC", "-ffunction-sections", "-fdata-sections"];

const HWLOC_OPTIONS = [
  "--prefix=/usr",
  "--sysconfdir=/etc",
  "--localstatedir=/var",
  "--runstatedir=/run", // where hwloc-gather-topology's files are looked for
  "--disable-shared",
  "--enable-static",
  "--with-pic",
  "--disable-plugins",
  "--disable-io",
  "--disable-libxml2",
  "--disable-libudev",
  "--disable-cairo",
  "--disable-doxygen",
  "--disable-readme",
  "--disable-dependency-tracking",
  "--without-x",
];

/**
 * libnuma's sources want a config.h of their configure script. It is only asked for the way to attach versions to
 * symbols; a static library has none, so the attribute that would becomes one that does nothing.
 */
const LIBNUMA_CONFIG = "#define HAVE_ATTRIBUTE_SYMVER 1\n#define symver(version) unused\n";

/** The folder of a source package without Debian's revision of it. */
function sourceFolder(sources: string, name: keyof typeof SOURCES): string {
  return join(sources, `${name}-${SOURCES[name].replace(/-[^-]*$/, "")}`);
}

function flagsFor(source: string, name: string): string {
  return ["-O2", ...COMPILE_FLAGS, `-ffile-prefix-map=${source}=${name}`].join(" ");
}

function buildHwloc(tools: Toolchain, source: string, folder: string, jobs: number): void {
  const build = join(folder, "hwloc");
  fs.mkdirSync(build);
  const configure = [
    ...HWLOC_OPTIONS,
    // "build" as the vendor makes it a cross build even for this machine: nothing built is run to find out things.
    "--build=x86_64-build-linux-gnu",
    `--host=${tools.target.multiarch}`,
    `CC=${tools.cc}`,
    `AR=${tools.ar}`,
    `NM=${tools.nm}`,
    `RANLIB=${tools.ranlib}`,
    `CFLAGS=${flagsFor(source, "hwloc")}`,
  ];
  run(join(source, "configure"), configure, { cwd: build, log: `${folder}/hwloc-configure.log` });
  run("make", ["-C", "hwloc", `-j${jobs}`, "V=1"], { cwd: build, log: `${folder}/hwloc-make.log` });
  fs.copyFileSync(join(build, "hwloc/.libs/libhwloc.a"), join(folder, "lib/libhwloc.a"));
  for (const from of [source, build]) {
    fs.cpSync(join(from, "include"), join(folder, "include"), {
      recursive: true,
      filter: (path) => !/\/(private|netloc)(\/|$)|Makefile/.test(path.slice(from.length)),
    });
  }
  fs.rmSync(build, { recursive: true });
}

function buildLibnuma(tools: Toolchain, source: string, folder: string): void {
  const build = join(folder, "numa");
  fs.mkdirSync(build);
  fs.writeFileSync(join(build, "config.h"), LIBNUMA_CONFIG);
  run(tools.cc, [
    ...flagsFor(source, "numactl").split(" "),
    `-I${build}`,
    "-c",
    join(source, "syscall.c"),
    "-o",
    join(build, "syscall.o"),
  ]);
  run(tools.ar, ["rcsD", join(folder, "lib/libnuma.a"), join(build, "syscall.o")]);
  for (const header of ["numa.h", "numacompat1.h", "numaif.h"]) {
    fs.copyFileSync(join(source, header), join(folder, "include", header));
  }
  fs.rmSync(build, { recursive: true });
}

function writePkgConfig(folder: string): void {
  for (const [module, name] of [["hwloc", "hwloc"], ["numa", "numactl"]] as const) {
    const version = SOURCES[name].replace(/-[^-]*$/, "");
    fs.writeFileSync(
      join(folder, `lib/${module}.pc`),
      `Name: ${module}\nDescription: static ${module}\nVersion: ${version}\n` +
        `Cflags: -I${folder}/include\nLibs: -L${folder}/lib -l${module}\n`,
    );
  }
}

/**
 * Builds both for a target unless the folder has them from the same recipe.
 *
 * @param sources Where the source packages are.
 * @param folder Gets `include/`, `lib/*.a` and `lib/*.pc`.
 */
export function buildStaticLibraries(
  tools: Toolchain,
  sources: string,
  folder: string,
  jobs: number,
): void {
  const recipe = JSON.stringify([
    SOURCES,
    HWLOC_OPTIONS,
    LIBNUMA_CONFIG,
    COMPILE_FLAGS,
    fs.readFileSync(tools.cc, "utf8"),
    folder,
  ]);
  const mark = join(folder, "recipe.json");
  if (fs.existsSync(mark) && fs.readFileSync(mark, "utf8") === recipe) return;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(join(folder, "lib"), { recursive: true });
  buildHwloc(tools, sourceFolder(sources, "hwloc"), folder, jobs);
  buildLibnuma(tools, sourceFolder(sources, "numactl"), folder);
  writePkgConfig(folder);
  fs.writeFileSync(mark, recipe);
}

/** The licence files in the source packages, by their names in `native/licenses`. */
export function licenceSources(sources: string): Record<string, string> {
  return {
    "hwloc.txt": join(sourceFolder(sources, "hwloc"), "COPYING"),
    "libnuma.txt": join(sourceFolder(sources, "numactl"), "LICENSE.LGPL2.1"),
  };
}
