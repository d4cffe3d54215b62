/** The helper itself, linked with the static libraries, and its C tests. */
import * as fs from "node:fs";
import { join } from "node:path";
import { run } from "./run.ts";
import { COMPILE_FLAGS } from "./static_libs.ts";
import type { Toolchain } from "./toolchain.ts";

/**
 * No build id and no symbol table: nothing in the file but what it does. `now`, so that a system which lacks a function
 * fails where the library is opened, not in the middle of a call.
 */
const LINK_FLAGS = ["-Wl,--gc-sections", "-Wl,-z,relro,-z,now", "-Wl,--build-id=none"];

/** Where a build is made, and of what. */
export interface HelperBuild {
  readonly tools: Toolchain;
  /** The checkout's `native`. */
  readonly source: string;
  /** The folder with the static libraries. */
  readonly libraries: string;
  /** The folder to build in; made anew. */
  readonly folder: string;
  readonly jobs: number;
}

/**
 * Builds with the checkout's own CMakeLists.txt.
 *
 * @param make What to build: the library (`numakit`) or that and the tests (`all`).
 * @returns The library's path.
 */
export function buildHelper(
  { tools, source, libraries, folder, jobs }: HelperBuild,
  make: "numakit" | "all",
): string {
  const compile = [
    ...COMPILE_FLAGS,
    `-ffile-prefix-map=${source}=native`,
    `-ffile-prefix-map=${libraries}/include=include`,
  ];
  const settings: Record<string, string> = {
    CMAKE_BUILD_TYPE: "Release",
    CMAKE_SYSTEM_NAME: "Linux",
    CMAKE_SYSTEM_PROCESSOR: tools.target.emulated ? "aarch64" : "x86_64",
    CMAKE_C_COMPILER: tools.cc,
    CMAKE_AR: tools.ar,
    CMAKE_RANLIB: tools.ranlib,
    CMAKE_C_FLAGS: compile.join(" "),
    CMAKE_EXE_LINKER_FLAGS: LINK_FLAGS.join(" "),
    CMAKE_SHARED_LINKER_FLAGS: [...LINK_FLAGS, "-Wl,--strip-all"].join(" "),
    // What static hwloc and, before glibc 2.34, dlsym are in; --as-needed drops what is not used.
    CMAKE_C_STANDARD_LIBRARIES: "-ldl -lm",
  };
  const defines = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`);
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  run("cmake", ["-S", source, "-B", folder, ...defines], {
    // Only these two libraries are there to be found: nothing of this machine.
    env: { PKG_CONFIG_LIBDIR: join(libraries, "lib") },
    log: join(folder, "configure.log"),
  });
  run("cmake", ["--build", folder, "--target", make, "--parallel", String(jobs), "--verbose"], {
    log: join(folder, "build.log"),
  });
  return join(folder, "libnumakit.so");
}
