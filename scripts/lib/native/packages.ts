/**
 * What the helpers are made with, to the exact version: another compiler makes other bytes.
 *
 * The compiler is Debian 12's. The C libraries to link against are Debian 11's, because a helper asks for the symbol
 * versions of the library it was linked with, and glibc 2.31 of there still has nothing that glibc 2.28 lacks and the
 * helper uses; that is checked (see inspect.ts).
 */
import type { Target } from "./targets.ts";

/** Debian's names for the releases that the packages come from. */
export const COMPILER_RELEASE = "bookworm";
export const LIBC_RELEASE = "bullseye";

/** The libraries that become a part of the helpers, as Debian source packages of {@linkcode COMPILER_RELEASE}. */
export const SOURCES = { hwloc: "2.9.0-1", numactl: "2.0.16-1" } as const;

const GCC_VERSION = "12.2.0-14+deb12u1";
const CROSS_GCC_VERSION = "12.2.0-14cross1";
const BINUTILS_VERSION = "2.40-2";

/** The compilers, and the shared libraries that they run with. They run on x86-64 only. */
export const COMPILERS: readonly string[] = [
  `gcc-12:amd64=${GCC_VERSION}`,
  `cpp-12:amd64=${GCC_VERSION}`,
  `libgcc-12-dev:amd64=${GCC_VERSION}`,
  `gcc-12-aarch64-linux-gnu:amd64=${CROSS_GCC_VERSION}`,
  `cpp-12-aarch64-linux-gnu:amd64=${CROSS_GCC_VERSION}`,
  `libgcc-12-dev-arm64-cross=${CROSS_GCC_VERSION}`,
  `binutils-x86-64-linux-gnu:amd64=${BINUTILS_VERSION}`,
  `binutils-aarch64-linux-gnu:amd64=${BINUTILS_VERSION}`,
  `libbinutils:amd64=${BINUTILS_VERSION}`,
  `libctf0:amd64=${BINUTILS_VERSION}`,
  `libctf-nobfd0:amd64=${BINUTILS_VERSION}`,
  "libgmp10:amd64=2:6.2.1+dfsg1-1.1",
  "libisl23:amd64=0.25-1.1",
  "libjansson4:amd64=2.14-2",
  "libmpc3:amd64=1.3.1-1",
  "libmpfr6:amd64=4.2.0-1",
  "libzstd1:amd64=1.5.4+dfsg2-5",
  "zlib1g:amd64=1:1.2.13.dfsg-1",
];

/** The C library and the kernel's headers of a target. */
export function sysrootPackages({ libc, debianArch }: Target): readonly string[] {
  const names = libc === "gnu"
    ? ["libc6=2.31-13+deb11u11", "libc6-dev=2.31-13+deb11u11"]
    : ["musl=1.2.2-1", "musl-dev=1.2.2-1"];
  return [...names, "linux-libc-dev=5.10.223-1"].map((name) =>
    name.replace("=", `:${debianArch}=`)
  );
}

/** Runs what was built for another processor. No byte of a helper depends on it, so any version will do. */
export const EMULATOR: readonly string[] = ["qemu-user-static:amd64"];
