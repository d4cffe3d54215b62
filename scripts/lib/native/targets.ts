/** The systems that get a prebuilt C helper. */

/** A system: the names that its tools go by, and what a helper for it may ask of it. */
export interface Target {
  /** As in `native/prebuilt/<name>/libnumakit.so`. */
  readonly name: string;
  readonly libc: "gnu" | "musl";
  /** Debian's name for the processor. */
  readonly debianArch: "amd64" | "arm64";
  /** The prefix of the compiler and its companions, which is that of the glibc flavour for musl, too. */
  readonly toolPrefix: string;
  /** Where Debian keeps the system's headers and libraries. */
  readonly multiarch: string;
  /** The dynamic loader, below the sysroot. */
  readonly loader: string;
  /** Whether this machine has to emulate it. */
  readonly emulated: boolean;
  /** The libraries that a helper may need. They have to be on every such system. */
  readonly libraries: readonly string[];
  readonly compilerFlags: readonly string[];
}

/** glibc before 2.34 has these as libraries of their own; later ones keep an empty one of each name. */
const GNU_LIBRARIES = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"];
/** The name by which musl's loader knows that it is meant itself, whatever the file is called there. */
const MUSL_LIBRARIES = ["libc.so"];

const X64 = {
  debianArch: "amd64",
  toolPrefix: "x86_64-linux-gnu-",
  emulated: false,
  compilerFlags: [],
} as const;
const ARM64 = {
  debianArch: "arm64",
  toolPrefix: "aarch64-linux-gnu-",
  emulated: true,
  // The out-of-line atomics of libgcc ask glibc for the processor's abilities, by a name that musl does not have.
  compilerFlags: ["-mno-outline-atomics"],
} as const;

/** The targets by name. */
export const TARGETS: readonly Target[] = [
  {
    ...ARM64,
    name: "linux-arm64-gnu",
    libc: "gnu",
    multiarch: "aarch64-linux-gnu",
    loader: "lib/ld-linux-aarch64.so.1",
    libraries: GNU_LIBRARIES,
  },
  {
    ...ARM64,
    name: "linux-arm64-musl",
    libc: "musl",
    multiarch: "aarch64-linux-musl",
    loader: "lib/ld-musl-aarch64.so.1",
    libraries: MUSL_LIBRARIES,
  },
  {
    ...X64,
    name: "linux-x64-gnu",
    libc: "gnu",
    multiarch: "x86_64-linux-gnu",
    loader: "lib64/ld-linux-x86-64.so.2",
    libraries: GNU_LIBRARIES,
  },
  {
    ...X64,
    name: "linux-x64-musl",
    libc: "musl",
    multiarch: "x86_64-linux-musl",
    loader: "lib/ld-musl-x86_64.so.1",
    libraries: MUSL_LIBRARIES,
  },
];

/** The newest glibc that a helper may ask for: that of Debian 10, RHEL 8 and their contemporaries. */
export const MAX_GLIBC: readonly number[] = [2, 28];

/** The size that a helper may have. */
export const MAX_BYTES = 400_000;
