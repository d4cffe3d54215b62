import * as fs from "node:fs";
import { join } from "node:path";
import type { Apt } from "./apt.ts";
import { COMPILERS, EMULATOR, sysrootPackages } from "./packages.ts";
import { run, type RunOptions, type RunResult } from "./run.ts";
import type { Target } from "./targets.ts";

const GCC_MAJOR = 12;

/** The programs that build for a target. */
export interface Toolchain {
  readonly target: Target;
  readonly cc: string;
  readonly ar: string;
  readonly nm: string;
  readonly ranlib: string;
  readonly readelf: string;
  readonly sysroot: string;
}

/**
 * What GCC has to do differently for musl, the way musl's own `musl-gcc` does it. The C library comes from `lib`,
 * before `usr/lib`, where only the static one is.
 */
function muslSpecs(target: Target, sysroot: string): string {
  const includes = [
    `${sysroot}/usr/include/${target.multiarch}`,
    // The kernel's headers.
    `${sysroot}/usr/include`,
    `${sysroot}/usr/include/${target.toolPrefix.slice(0, -1)}`,
  ].map((folder) => `-isystem ${folder}`).join(" ");
  const crt = `${sysroot}/usr/lib/${target.multiarch}`;
  const libraries = `-L${sysroot}/lib/${target.multiarch} -L${crt}`;
  const specs: Record<string, string> = {
    cpp_options: `-nostdinc ${includes} -isystem include%s %(old_cpp_options)`,
    cc1: `%(cc1_cpu) -nostdinc ${includes} -isystem include%s`,
    link_libgcc: `${libraries} -L .%s`,
    libgcc: "libgcc.a%s libgcc_eh.a%s",
    startfile: `%{!shared: ${crt}/Scrt1.o} ${crt}/crti.o crtbeginS.o%s`,
    endfile: `crtendS.o%s ${crt}/crtn.o`,
    link: `-dynamic-linker /${target.loader} -nostdlib --hash-style=gnu ` +
      "%{shared:-shared} %{rdynamic:-export-dynamic}",
    esp_link: "",
    esp_options: "",
    esp_cpp_options: "",
  };
  const sections = Object.entries(specs).map(([name, text]) => `*${name}:\n${text}\n\n`);
  return `%rename cpp_options old_cpp_options\n\n${sections.join("")}`;
}

/**
 * Fetches what a target is built with and makes commands of it.
 *
 * @param cache The folder that keeps it.
 */
export function makeToolchain(target: Target, cache: string, apt: Apt): Toolchain {
  const compilers = join(cache, "compilers");
  const sysroot = join(cache, "sysroot", target.name);
  const commands = join(cache, "bin", target.name);
  apt.unpack(COMPILERS, compilers);
  apt.unpack(sysrootPackages(target), sysroot);
  fs.mkdirSync(commands, { recursive: true });

  const flags = [
    ...target.compilerFlags,
    "-static-libgcc",
    `-B${compilers}/usr/bin/${target.toolPrefix}`,
  ];
  if (target.libc === "gnu") {
    flags.push(`--sysroot=${sysroot}`);
  } else {
    const specs = join(commands, "musl.specs");
    fs.writeFileSync(specs, muslSpecs(target, sysroot));
    flags.push(`-specs=${specs}`);
  }
  // These come with libraries of their own, which no other program shall see.
  const libraries = `${compilers}/usr/lib/x86_64-linux-gnu:${compilers}/lib/x86_64-linux-gnu`;
  const command = (name: string, program: string, args: readonly string[] = []): string => {
    const path = join(commands, name);
    const quoted = [`${compilers}/usr/bin/${target.toolPrefix}${program}`, ...args]
      .map((word) => `'${word}'`).join(" ");
    fs.writeFileSync(path, `#!/bin/sh\nLD_LIBRARY_PATH='${libraries}' exec ${quoted} "$@"\n`);
    fs.chmodSync(path, 0o755);
    return path;
  };
  return {
    target,
    sysroot,
    cc: command("cc", `gcc-${GCC_MAJOR}`, flags),
    ar: command("ar", "ar"),
    nm: command("nm", "nm"),
    ranlib: command("ranlib", "ranlib"),
    readelf: command("readelf", "readelf"),
  };
}

/** Runs a target's program with the target's own C library. */
export type Runner = (program: string, args: readonly string[], options?: RunOptions) => RunResult;

/** Makes what runs a target's programs here. */
export function makeRunner({ target, sysroot }: Toolchain, cache: string, apt: Apt): Runner {
  if (!target.emulated) {
    const loader = join(sysroot, target.loader);
    const libraries = `${sysroot}/lib/${target.multiarch}`;
    return (program, args, options) =>
      run(loader, ["--library-path", libraries, program, ...args], options);
  }
  const emulator = join(cache, "emulator");
  apt.unpack(EMULATOR, emulator);
  const qemu = join(emulator, "usr/bin/qemu-aarch64-static");
  return (program, args, options) => run(qemu, ["-L", sysroot, program, ...args], options);
}
