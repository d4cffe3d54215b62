/** What a guest boots with beside its kernel: the initramfs, and in it what its init has to know. */
import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { member } from "./cpio.ts";
import type { GuestShape } from "./numa_guest.ts";

/** One of the commands of a guest. */
export interface GuestCommand {
  /** What messages call it. */
  readonly name: string;
  readonly words: readonly string[];
  /** Added to its environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** What the commands of a guest find there. */
export interface GuestSetting {
  readonly checkout: string;
  /** For all commands, as NAME=VALUE. */
  readonly env: readonly string[];
  /** The folder of the host that they may write to. */
  readonly out?: string | undefined;
  /** How many run at a time. */
  readonly lanes: number;
  /** Whether lines are counted: pages have to stay where they are. */
  readonly counts: boolean;
}

const INIT = fileURLToPath(new URL("guest_init.sh", import.meta.url));
/** What the init uses of busybox beside the shell. */
const APPLETS =
  "awk cat chroot cp dmesg env grep hostname insmod ip ln mkdir mkfifo mount renice rm sed " +
  "setsid sleep sync umount usleep wc";

/** A word that the shell reads as it is. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A function that becomes a command. It is found in the PATH it is given, and starts in the checkout. */
function commandFunction(command: GuestCommand, number: number, setting: GuestSetting): string {
  const environment = [
    `PATH=${setting.checkout}/.tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    `HOME=${process.env["HOME"] ?? "/root"}`,
    ...["USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8", "TERM=dumb", "TMPDIR=/tmp"],
    ...setting.env,
    ...Object.entries(command.env).map(([name, value]) => `${name}=${value}`),
  ];
  const start = 'cd "$1" && shift && unset OLDPWD && exec "$@"';
  const chroot = ["/bin/chroot", ".", "/bin/sh", "-c", start, "numa_vm", setting.checkout];
  const words = [...environment, ...chroot, ...command.words].map(quoted).join(" ");
  return `command_${number}() { exec setsid env -i ${words}; }`;
}

/**
 * The part of the init that differs from guest to guest.
 *
 * @param shape The machine.
 * @param commands What runs in it, numbered from 1.
 * @param setting What they find there.
 * @returns The text of the file.
 */
export function prelude(
  shape: GuestShape,
  commands: readonly GuestCommand[],
  setting: GuestSetting,
): string {
  const pools = shape.nodes.flatMap(({ pages_2m, pages_1g }, id) => [
    ...(pages_2m > 0 ? [`${id} 2m 2048 ${pages_2m}`] : []),
    ...(pages_1g > 0 ? [`${id} 1g 1048576 ${pages_1g}`] : []),
  ]);
  const variables = {
    ARCH: shape.arch,
    CHECKOUT: setting.checkout,
    OUT: setting.out ?? "",
    POOLS: pools.join("\n"),
    COMMANDS: `${commands.length}`,
    COUNTS: setting.counts ? "yes" : "no",
    LANES: `${Math.min(setting.lanes, commands.length)}`,
  };
  return [
    ...Object.entries(variables).map(([name, value]) => `GUEST_${name}=${quoted(value)}`),
    ...commands.map((command, index) => commandFunction(command, index + 1, setting)),
    "",
  ].join("\n");
}

/**
 * Builds the initramfs. The file is gone from its folder before anything can go wrong.
 *
 * @param cache The folder that numa_vm_fetch has filled.
 * @param text What `prelude` returned.
 * @returns The open file.
 */
export function openInitramfs(cache: string, text: string): number {
  const bytes = (value: string) => Buffer.from(value);
  const folders = ["bin", "dev", "host", "modules", "proc", "root", "writes"];
  const modules = fs.readdirSync(join(cache, "modules")).sort();
  const archive = Buffer.concat([
    ...folders.map((path) => member(path, 0o040755, bytes(""))),
    member("bin/busybox", 0o100755, fs.readFileSync(join(cache, "busybox"))),
    ...APPLETS.split(" ").map((name) => member(`bin/${name}`, 0o120777, bytes("busybox"))),
    ...modules.map((name) =>
      member(`modules/${name}`, 0o100644, fs.readFileSync(join(cache, "modules", name)))
    ),
    member("prelude", 0o100644, bytes(text)),
    member("init", 0o100755, fs.readFileSync(INIT)),
    member("TRAILER!!!", 0, bytes("")),
  ]);
  const folder = fs.mkdtempSync(join(tmpdir(), "numa_vm-"));
  try {
    const fd = fs.openSync(join(folder, "initramfs"), "wx+");
    fs.writeFileSync(fd, archive);
    return fd;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
