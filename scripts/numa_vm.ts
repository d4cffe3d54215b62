/**
 * Runs a command in an emulated machine with several NUMA nodes. The kernel, its placement and its errors are real;
 * only the hardware is not, so there is nothing to learn here about time.
 *
 * The guest's root is the host's, read-only, under a tmpfs that takes the writes. A guest with another processor has a
 * small root of its own (see numa_vm_fetch) and the checkout in it, at its path. The command never sees a terminal: its
 * stdout, its stderr and its exit status each have a virtio port, and each port is a socket that QEMU inherits.
 * The initramfs is an open file without a name. So there is nothing on the host to clean up, however this ends.
 */
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { constants, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Command, CommanderError } from "commander";
import { member } from "./lib/cpio.ts";
import {
  type Architecture,
  type GuestShape,
  parseShape,
  qemuArguments,
  ShapeError,
  type ShapeWords,
} from "./lib/numa_guest.ts";

/** The statuses that are not the command's own. */
const EXIT = { usage: 2, missing: 3, timeout: 124, guest: 125, killed: 137 } as const;
/**
 * A boot takes 3 to 11 s. About one in eighty never ends: emulated CPUs of QEMU 7.2 lose an interrupt when the host is
 * busy. Nothing of the command has run by then, so such a guest is started again.
 */
const BOOT_LIMIT_S = 40;
const MOST_BOOTS = 3;
/** How much of the kernel's log is shown when a guest fails. */
const LOG_TAIL_LINES = 60;
/** So long before its time is over a guest tells what its threads are at. */
const LOOK_S = 10;
/** QEMU inherits these; 0 to 2 are its own. */
const FD = { stdout: 3, stderr: 4, report: 5, console: 6, initramfs: 7 } as const;

const checkout = fs.realpathSync(fileURLToPath(new URL("..", import.meta.url)));

/** What a guest of each processor is made of: QEMU, and the folder that numa_vm_fetch fills. */
const GUESTS = {
  x64: { qemu: "qemu-system-x86_64", cache: join(checkout, ".tools/vm") },
  arm64: { qemu: "qemu-system-aarch64", cache: join(checkout, ".tools/arm64") },
} as const satisfies Record<Architecture, unknown>;

interface Options extends ShapeWords {
  readonly timeout: string;
  readonly env?: readonly string[];
  readonly out?: string;
  readonly kernelArgs?: string;
  readonly allowOom?: true;
  readonly verbose?: true;
}

/** What the guest reported, and what is known when it didn't. */
interface Outcome {
  ready: boolean;
  status?: number;
  failed?: string;
  /** Why this side ended it. */
  stopped?: { reason: string; status: number };
  /** The boot took too long, and there is time for another. */
  hung: boolean;
  readonly oomKills: string[];
  log: string;
}

/** Ends this command with a status and a line that says why. */
class Failure extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function say(line: string): void {
  process.stderr.write(`numa_vm: ${line}\n`);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function findProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => fs.existsSync(path));
}

/**
 * The guest's `init`, for busybox, after the four functions that differ from guest to guest. It reports in lines:
 * `ready` before the command starts, `oom` with what the kernel logged, `failed` with a reason, and at last `exit`
 * with the command's status; then the host ends the guest.
 *
 * It stays in the initramfs. The host's files are moved over `/` and only the command is put inside them, so nothing
 * that the command does to its files or to its memory takes away what it needs to report.
 */
const INIT = `
export PATH=/bin
share() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"; }
share_below() { # a share under a tmpfs
  mkdir -p /$1 /writes/$1/upper /writes/$1/work && share $1 /$1 ro,cache=loose &&
    mount -t overlay -o lowerdir=/$1,upperdir=/writes/$1/upper,workdir=/writes/$1/work overlay "$2"
}
failed() { echo "failed $*" >&3; sleep 60; }
pool() {
  file=sys/devices/system/node/node$1/hugepages/hugepages-$3kB/nr_hugepages
  [ -e $file ] || failed "this kernel has no hugepages of $2"
  # The kernel gives what it can and calls that a success.
  echo $4 >$file
  read got <$file
  [ $got = $4 ] || failed "node $1 has room for $got of the $4 hugepages of $2: raise its --memory" \\
    "(a 1g page is a whole aligned GiB: 2 GiB more than the pages take is enough)"
}

mount -t proc proc /proc
mount -t devtmpfs dev /dev
echo -1000 >/proc/self/oom_score_adj
for module in /modules/*; do insmod "$module"; done
tries=0
until [ -c /dev/vport0p3 ]; do
  tries=$((tries + 1))
  [ $tries -lt 1000 ] || exit 1
  usleep 10000
done
exec 3>/dev/vport0p3

mount -t tmpfs tmpfs /writes && share_below host /root || failed "the host's files can't be mounted"
cd /root
share_checkout || failed "the checkout can't be mounted"
mkdir -p proc sys dev tmp run
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t devtmpfs dev dev
mkdir dev/pts dev/shm
mount -t devpts devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
share_out mount || failed "the folder of --out can't be mounted"
ip link set lo up
hostname guest
pools
mount --move . /

# A port can be opened only once and programs do open /dev/stdout, so they get pipes.
mkfifo /stdout /stderr
cat </stdout >/dev/vport0p1 3>&- &
pump1=$!
cat </stderr >/dev/vport0p2 3>&- &
pump2=$!
echo ready >&3
# A command that hangs: what its threads are at, for the log that the host shows then.
(
  exec 3>&-
  sleep $look_s
  echo "numa_vm: still running after $look_s s:"
  for task in /proc/[0-9]*/task/*; do
    read -r command <\${task%/task/*}/cmdline
    [ -n "$command" ] || continue
    read -r name <$task/comm
    read -r place <$task/wchan
    read -r call _ <$task/syscall
    echo "\${task#/proc/} $name: in $place, system call $call"
  done
) 2>/dev/null &
(
  exec 3>&-
  echo 0 >/proc/self/oom_score_adj
  ulimit -H -n 1048576
  ulimit -S -n 65536
  ulimit -l unlimited
  run
) </dev/null >/stdout 2>/stderr
status=$?

# What the command left running would hold the pipes open for ever.
for process in $(cd /proc && echo [0-9]*); do
  case " 1 $pump1 $pump2 " in *" $process "*) ;; *) kill -9 $process 2>/dev/null ;; esac
done
wait $pump1 && wait $pump2 || failed "the command killed what carries its output"
if grep -q '^oom_kill [1-9]' /proc/vmstat; then
  dmesg | grep 'Out of memory: Killed' | sed 's/^/oom /' >&3
fi
share_out unmount
echo "exit $status" >&3
sleep 60
`;

/**
 * Puts the checkout in its place in a root that is not the host's. What was built for the host gives way to what was
 * built for the guest: the runtimes, and the helper that packages carry.
 */
function shareCheckout(): string {
  const place = quoted(`.${checkout}`);
  return [
    `chroot . /bin/busybox --install -s && mkdir -p ${place} && share_below checkout ${place} && cd ${place}`,
    "rm -r .tools/bin && ln -s arm64/bin .tools/bin",
    "mkdir -p native/build && cp native/prebuilt/linux-arm64-gnu/libnumakit.so native/build",
    "cd /root",
  ].join(" && ");
}

/** The `init` of one guest. The command is found in the PATH it is given, and starts in the checkout. */
function initScript(shape: GuestShape, command: readonly string[], options: Options): string {
  const environment = [
    `PATH=${checkout}/.tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`,
    `HOME=${process.env["HOME"] ?? "/root"}`,
    ...["USER=root", "LOGNAME=root", "SHELL=/bin/sh", "LANG=C.UTF-8", "TERM=dumb", "TMPDIR=/tmp"],
    ...options.env ?? [],
  ];
  const start = 'cd "$1" && shift && unset OLDPWD && exec "$@"';
  const words = ["/bin/chroot", ".", "/bin/sh", "-c", start, "numa_vm", checkout, ...command];
  const pools = shape.nodes.flatMap(({ pages_2m, pages_1g }, id) => [
    ...(pages_2m > 0 ? [`pool ${id} 2m 2048 ${pages_2m}`] : []),
    ...(pages_1g > 0 ? [`pool ${id} 1g 1048576 ${pages_1g}`] : []),
  ]);
  const out = quoted(`.${options.out}`);
  const outSteps =
    `case $1 in mount) mkdir -p ${out}; share out ${out} cache=mmap ;; *) sync; umount ${out} ;; esac`;
  return `#!/bin/busybox sh
look_s=${Math.max(1, Number(options.timeout) - LOOK_S)}
run() { exec env -i ${[...environment, ...words].map(quoted).join(" ")}; }
pools() { ${["true", ...pools].join("; ")}; }
share_checkout() { ${shape.arch === "x64" ? "true" : shareCheckout()}; }
share_out() { ${options.out === undefined ? "true" : outSteps}; }
${INIT}`;
}

/** Builds the initramfs; the file is gone from its folder before anything can go wrong. */
function openInitramfs(cache: string, init: string): number {
  const text = (value: string) => Buffer.from(value);
  const folders = ["bin", "dev", "host", "modules", "proc", "root", "writes"];
  const applets =
    "cat chroot cp dmesg env grep hostname insmod ip ln mkdir mkfifo mount rm sed sleep sync umount usleep";
  const modules = fs.readdirSync(join(cache, "modules")).sort();
  const archive = Buffer.concat([
    ...folders.map((path) => member(path, 0o040755, text(""))),
    member("bin/busybox", 0o100755, fs.readFileSync(join(cache, "busybox"))),
    ...applets.split(" ").map((name) => member(`bin/${name}`, 0o120777, text("busybox"))),
    ...modules.map((name) =>
      member(`modules/${name}`, 0o100644, fs.readFileSync(join(cache, "modules", name)))
    ),
    member("init", 0o100755, text(init)),
    member("TRAILER!!!", 0, text("")),
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

/** The host's folders that a guest sees, by tag. */
function sharesOf({ arch }: GuestShape, { out }: Options): Record<string, string> {
  const own = join(GUESTS[arch].cache, "root");
  return {
    ...(arch === "x64" ? { host: "/" } : { host: own, checkout }),
    ...(out === undefined ? {} : { out }),
  };
}

/** Starts QEMU. It dies with this process, even when that is killed with SIGKILL. */
function startQemu(
  qemu: string,
  shape: GuestShape,
  options: Options,
  initramfs: number,
): ChildProcess {
  const args = qemuArguments(shape, {
    ...options,
    shares: sharesOf(shape, options),
    kernel: join(GUESTS[shape.arch].cache, "kernel"),
    initramfs: `/proc/self/fd/${FD.initramfs}`,
    console_fd: FD.console,
    ports: (["stdout", "stderr", "report"] as const).map((name) => ({ name, fd: FD[name] })),
  });
  const pipes = ["pipe", "pipe", "pipe", "pipe", "pipe"] as const;
  return spawn("setpriv", ["--pdeathsig", "KILL", "--", qemu, ...args], {
    stdio: ["ignore", "ignore", ...pipes, initramfs],
  });
}

/** Passes on what the guest writes, collects what it reports, and ends it when it is time. */
function watch(guest: ChildProcess, options: Options, deadline_ms: number): Promise<Outcome> {
  const outcome: Outcome = { ready: false, hung: false, oomKills: [], log: "" };
  const stream = (fd: number) => guest.stdio[fd] as Readable;
  const started_ms = performance.now();
  const stop = (reason: string, status: number) => {
    outcome.stopped ??= { reason, status };
    guest.kill("SIGKILL");
  };
  stream(FD.stdout).pipe(process.stdout);
  stream(FD.stderr).pipe(process.stderr);
  // A reader that went away (`numa_vm … | head`) is the end of a command here as anywhere.
  const onReaderGone = () => stop("nobody reads the output", 128 + constants.signals.SIGPIPE);
  process.stdout.on("error", onReaderGone);
  for (const fd of [FD.console, 2]) {
    stream(fd).setEncoding("utf8").on("data", (chunk: string) => {
      const text = chunk.replaceAll("\r", "");
      outcome.log = (outcome.log + text).slice(-65536);
      if (options.verbose) process.stderr.write(text);
    });
  }
  createInterface({ input: stream(FD.report) }).on("line", (line) => {
    const [, word, rest = ""] = /^(\w+) ?(.*)$/.exec(line) ?? [];
    if (word === "ready") {
      outcome.ready = true;
      const boot_s = (performance.now() - started_ms) / 1000;
      if (options.verbose) say(`the command starts after ${boot_s.toFixed(1)} s`);
    }
    if (word === "oom") outcome.oomKills.push(rest);
    if (word === "failed") outcome.failed = rest;
    if (word === "exit") outcome.status = Number(rest);
    // All output was taken by the sockets before this was written, so nothing is lost.
    if (word === "failed" || word === "exit") guest.kill("SIGKILL");
  });
  const timer = setTimeout(() => {
    const when = outcome.ready ? "" : " before the command started";
    stop(`time limit of ${options.timeout} s reached${when}: guest stopped`, EXIT.timeout);
  }, deadline_ms - started_ms);
  const bootTimer = setTimeout(() => {
    outcome.hung = !outcome.ready;
    if (outcome.hung) guest.kill("SIGKILL");
  }, BOOT_LIMIT_S * 1000);
  const onSignal = (signal: NodeJS.Signals) =>
    stop(`stopped by ${signal}`, 128 + constants.signals[signal]);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, onSignal);
  return new Promise((done, fail) => {
    guest.on("error", fail);
    guest.on("close", () => {
      clearTimeout(timer);
      clearTimeout(bootTimer);
      process.stdout.off("error", onReaderGone);
      for (const signal of signals) process.off(signal, onSignal);
      done(outcome);
    });
  });
}

/** Runs the command in a guest, in another one when a guest does not boot. */
async function run(start: () => ChildProcess, options: Options): Promise<Outcome> {
  const deadline_ms = performance.now() + Number(options.timeout) * 1000;
  for (let boot = 1;; boot++) {
    const outcome = await watch(start(), options, deadline_ms);
    if (!outcome.hung || outcome.stopped !== undefined) return outcome;
    if (!options.verbose) showLog(outcome.log);
    const silence = `no sign of life from the guest for ${BOOT_LIMIT_S} s`;
    if (boot === MOST_BOOTS) {
      outcome.stopped = { reason: `${silence} in each of ${boot} boots`, status: EXIT.guest };
      return outcome;
    }
    say(`${silence}: starting it again`);
  }
}

function showLog(log: string): void {
  if (log.trim() === "") return;
  const lines = log.trimEnd().split("\n").slice(-LOG_TAIL_LINES);
  process.stderr.write(lines.map((line) => `  | ${line}\n`).join(""));
}

/** Turns what happened into this command's status, and says what is not plain from the command's own output. */
function conclude(outcome: Outcome, options: Options): number {
  for (const line of outcome.oomKills) say(`the guest ran out of memory: ${line}`);
  if (outcome.status !== undefined) {
    // A run in which the kernel had to kill something did not go well, whatever the survivors say.
    const silent = outcome.oomKills.length > 0 && outcome.status === 0 && !options.allowOom;
    return silent ? EXIT.killed : outcome.status;
  }
  if (outcome.stopped !== undefined) {
    say(outcome.stopped.reason);
    if (!options.verbose) showLog(outcome.log);
    return outcome.stopped.status;
  }
  if (outcome.failed !== undefined) {
    say(outcome.failed);
    return EXIT.guest;
  }
  const [panic = "no panic was logged"] = /Kernel panic.*/.exec(outcome.log) ?? [];
  say(
    `the guest ended ${outcome.ready ? "while the command ran" : "before it was ready"}: ${panic}`,
  );
  if (!options.verbose) showLog(outcome.log);
  return EXIT.guest;
}

function checkPrerequisites(arch: Architecture): string {
  const { qemu: name, cache } = GUESTS[arch];
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new Failure(
      EXIT.missing,
      `guests run on x86-64 Linux only for now and this is ${process.platform} on ${process.arch}`,
    );
  }
  const qemu = findProgram(name);
  const missing = [
    ...(qemu === undefined ? [name] : []),
    ...(findProgram("setpriv") === undefined ? ["setpriv"] : []),
    ...(fs.existsSync(join(cache, "complete")) ? [] : [`the kernel of ${arch} guests`]),
  ];
  if (qemu !== undefined && missing.length === 0) return qemu;
  throw new Failure(
    EXIT.missing,
    `${missing.join(" and ")} missing: scripts/bootstrap installs it`,
  );
}

/** Checks the options that are not about the shape. */
function checkOptions(options: Options): Options {
  if (!/^\d{1,6}$/.test(options.timeout) || Number(options.timeout) === 0) {
    throw new ShapeError(
      `--timeout is "${options.timeout}": it has to be a whole number of seconds above 0`,
    );
  }
  for (const entry of options.env ?? []) {
    if (/^[A-Za-z_]\w*=/.test(entry)) continue;
    throw new ShapeError(`--env "${entry}": write NAME=VALUE`);
  }
  if (options.out === undefined) return options;
  try {
    fs.mkdirSync(options.out, { recursive: true });
  } catch (error) {
    throw new ShapeError(`--out "${options.out}" can't be made: ${(error as Error).message}`);
  }
  const out = fs.realpathSync(options.out);
  if (out === "/") throw new ShapeError('--out "/" would let the command write everywhere');
  return { ...options, out };
}

const HELP = `
COMMAND runs as root in the checkout's folder, with .tools/bin first in PATH. It sees the host's files; what it writes
is gone afterwards, except under --out. Writes take the guest's memory. No stdin, no network but the loopback.

Exit status: the command's own (128+N when signal N ended it); 2 wrong options; 3 something is not installed;
124 time limit; 125 the guest failed; 137 also when the guest ran out of memory and the command said 0.

Examples:
  scripts/numa_vm --nodes 2 -- cat /sys/devices/system/node/node1/meminfo
  scripts/numa_vm --nodes 3 --cpus 2,2,0 --memory 1G,1G,512M --distances "10,21,17;21,10,28;17,28,10" -- CMD
  scripts/numa_vm --nodes 2 --memory 768M,3G --hugepages 0:2m=64,1:1g=1 -- CMD
  scripts/numa_vm --nodes 2 --cpus 8 --l3 2 --threads 2 --hmat -- CMD`;

function program(): Command {
  const list = (value: string, before: readonly string[] = []) => [...before, value];
  return new Command("numa_vm")
    .description("Runs a command in an emulated machine with several NUMA nodes.")
    .usage("--nodes N [options] -- COMMAND ARG...")
    .argument("<command...>", "what to run, with its arguments")
    .requiredOption("--nodes <n>", "number of nodes")
    .option("--arch <name>", "the processor: x64 or arm64", "x64")
    .option(
      "--cpus <list>",
      "CPUs per node: one number, or one for each node (0: memory only)",
      "2",
    )
    .option("--memory <list>", "memory per node: one size, or one for each node", "768M")
    .option("--distances <rows>", 'all distances ("10,21;21,10"), or the remote one', "21")
    .option("--hugepages <pools>", "pools, as NODE:SIZE=COUNT,... with sizes 2m and 1g")
    .option("--l3 <n>", "L3 caches per node", "1")
    .option("--threads <n>", "hardware threads per core", "1")
    .option("--hmat", "ACPI HMAT: latencies and bandwidths that go with the distances")
    .option("--env <name=value>", "a variable for the command (repeatable)", list)
    .option("--out <dir>", "a folder of the host that the command may write to")
    .option("--timeout <seconds>", "time limit, boot included", "300")
    .option("--allow-oom", "leave the status alone when the guest's kernel kills for memory")
    .option("--kernel-args <words>", "more for the kernel's command line")
    .option("--verbose", "the guest's boot log, and QEMU's, on stderr")
    .helpOption("-h, --help", "this text")
    .addHelpText("after", HELP)
    .passThroughOptions()
    .configureOutput({ outputError: (text) => say(text.replace(/^error: /, "").trimEnd()) })
    .exitOverride();
}

async function main(words: readonly string[]): Promise<number> {
  try {
    const cli = program().parse(words, { from: "user" });
    const options = checkOptions(cli.opts<Options>());
    const shape = parseShape(options);
    const qemu = checkPrerequisites(shape.arch);
    const init = initScript(shape, cli.args, options);
    const initramfs = openInitramfs(GUESTS[shape.arch].cache, init);
    const start = () => startQemu(qemu, shape, options, initramfs);
    return conclude(await run(start, options), options);
  } catch (error) {
    // Commander has already said what is wrong, or shown the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (!(error instanceof ShapeError || error instanceof Failure)) throw error;
    say(error.message);
    return error instanceof Failure ? error.status : EXIT.usage;
  }
}

process.exitCode = await main(process.argv.slice(2));
