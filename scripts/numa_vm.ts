/**
 * Runs commands in an emulated machine with several NUMA nodes. The kernel, its placement and its errors are real;
 * only the hardware is not, so there is nothing to learn here about time.
 *
 * The guest's root is the host's, read-only, under a tmpfs that takes the writes. A guest with another processor has a
 * small root of its own (see numa_vm_fetch) and the checkout in it, at its path. A command never sees a terminal: its
 * stdout and its stderr each have a virtio port, and each port is a socket that QEMU inherits. The initramfs is an open
 * file without a name. So there is nothing on the host to clean up, however this ends.
 */
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Command, CommanderError } from "commander";
import { clearCounts, findCounts } from "./lib/count_file.ts";
import { countWarnings, summarizeCounts } from "./lib/count_summary.ts";
import { Counted } from "./lib/counts.ts";
import { CACHE_NAMES, counterArguments, nodeOfCpu, unknownQemu } from "./lib/guest_counter.ts";
import { type GuestCommand, type GuestSetting, openInitramfs, prelude } from "./lib/guest_files.ts";
import {
  type Boot,
  type CommandResult,
  EXIT,
  FD,
  notRun,
  runGuest,
  type RunOptions,
  say,
  startQemu,
} from "./lib/guest_run.ts";
import {
  type Architecture,
  type GuestShape,
  parseShape,
  qemuArguments,
  ShapeError,
  type ShapeWords,
} from "./lib/numa_guest.ts";

/** Nothing of the commands has run when a boot hangs, so such a guest is started again. */
const MAX_BOOTS = 3;
/** Each has two of a guest's 30 ports; one is for reports. */
const MAX_COMMANDS = 14;
/** How much of the kernel's log is shown when a guest fails. */
const LOG_TAIL_LINES = 60;
/** What separates the commands on the command line. */
const THEN = "--then";

const checkout = fs.realpathSync(fileURLToPath(new URL("..", import.meta.url)));

/** The plugin that counts cache lines: `native/counter`, as scripts/bootstrap builds it; a faulty one in its tests. */
const COUNTER = process.env["NUMAKIT_COUNTER"] ?? join(checkout, "build/counter/counter.so");

/** What a guest of each processor is made of: QEMU, and the folder that numa_vm_fetch fills. */
const GUESTS = {
  x64: { qemu: "qemu-system-x86_64", cache: join(checkout, ".tools/vm") },
  arm64: { qemu: "qemu-system-aarch64", cache: join(checkout, ".tools/arm64") },
} as const satisfies Record<Architecture, unknown>;

const DEFAULT_CACHES = "xeon-8380";

/** What makes a command one section. */
const COUNTED = join(checkout, "build/counter/counted");

interface Options extends ShapeWords {
  readonly timeout?: string;
  readonly stuck: string;
  readonly jobs: string;
  readonly commands?: string;
  readonly results?: string;
  readonly env?: readonly string[];
  readonly out?: string;
  readonly count?: true;
  readonly countTo?: string;
  readonly caches?: string;
  readonly kernelArgs?: string;
  readonly allowOom?: true;
  readonly verbose?: true;
}

/** Ends this command with a status and a line that says why. */
class Failure extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

function findProgram(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => fs.existsSync(path));
}

/** The host's folders that a guest sees, by tag. */
function sharesOf({ arch }: GuestShape, { out }: Options): Record<string, string> {
  const own = join(GUESTS[arch].cache, "root");
  return {
    ...(arch === "x64" ? { host: "/" } : { host: own, checkout }),
    ...(out === undefined ? {} : { out }),
  };
}

/** QEMU's arguments for what counts, if anything does. */
function counterOf(shape: GuestShape, { countTo, caches, count }: Options): string[] | undefined {
  return countTo === undefined ? undefined : counterArguments(shape, {
    plugin: COUNTER,
    out: countTo,
    caches: caches ?? DEFAULT_CACHES,
    pages: count ?? false,
  });
}

/** One boot with these commands. */
async function boot(
  qemu: string,
  shape: GuestShape,
  results: readonly CommandResult[],
  options: Options,
  run: RunOptions,
): Promise<Boot> {
  const { cache } = GUESTS[shape.arch];
  const commands = results.map(({ command }) => command);
  const setting: GuestSetting = {
    checkout,
    env: options.env ?? [],
    out: options.out,
    lanes: Number(options.jobs),
    counts: options.countTo !== undefined,
  };
  const initramfs = openInitramfs(cache, prelude(shape, commands, setting));
  const ports = commands.flatMap((_, index) =>
    ["stdout", "stderr"].map((name, offset) => ({
      name: `${name}${index + 1}`,
      fd: FD.commands + 2 * index + offset,
    }))
  );
  const args = qemuArguments(shape, {
    ...options,
    counter: counterOf(shape, options),
    shares: sharesOf(shape, options),
    kernel: join(cache, "kernel"),
    initramfs: `/proc/self/fd/${FD.initramfs}`,
    console_fd: FD.console,
    ports: [{ name: "report", fd: FD.report }, ...ports],
  });
  try {
    return await runGuest(startQemu(qemu, args, initramfs, commands.length), results, run);
  } finally {
    fs.closeSync(initramfs);
  }
}

/**
 * Runs the commands in a guest; in another one when a guest does not boot, and those that had not begun when one ends.
 *
 * @returns What became of the last guest.
 */
async function bootAll(
  results: readonly CommandResult[],
  options: Options,
  start: (left: readonly CommandResult[]) => Promise<Boot>,
): Promise<Boot> {
  for (let hung = 0;;) {
    const left = results.filter(({ started }) => !started);
    const outcome = await start(left);
    const begun = left.some(({ started }) => started);
    if (outcome.hung !== undefined && outcome.stopped === undefined) {
      if (!options.verbose) showLog(outcome.log);
      if (++hung === MAX_BOOTS) {
        const reason = `${outcome.hung}, in each of ${hung} boots`;
        return { ...outcome, stopped: { reason, status: EXIT.guest } };
      }
      say(`${outcome.hung}: starting it again`);
      continue;
    }
    const ends = outcome.ended || !begun || !results.some(({ started }) => !started);
    // A time limit or a signal ends all; a guest that died is followed by another.
    if (ends || (outcome.stopped !== undefined && outcome.stopped.status !== EXIT.guest)) {
      return outcome;
    }
    sayHowItEnded(outcome, options);
    say("starting another guest for the commands that are left");
  }
}

function showLog(log: string): void {
  if (log.trim() === "") return;
  const lines = log.trimEnd().split("\n").slice(-LOG_TAIL_LINES);
  process.stderr.write(lines.map((line) => `  | ${line}\n`).join(""));
}

/** Says what is not plain from the commands' own output. Returns the status that the guest gives, if it does. */
function sayHowItEnded(outcome: Boot, options: Options): number | undefined {
  if (outcome.ended) return undefined;
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

/** A command's status as this program's. */
function statusOf({ status, stuck, oomKills }: CommandResult, options: Options): number {
  if (status === undefined) return stuck ? EXIT.stopped : EXIT.guest;
  // A run in which the kernel had to kill something did not go well, whatever the survivors say.
  return oomKills.length > 0 && status === 0 && !options.allowOom ? EXIT.killed : status;
}

/** Says how all of it ended, and writes the results. Returns this program's status. */
function conclude(outcome: Boot, results: readonly CommandResult[], options: Options): number {
  for (const line of new Set(results.flatMap(({ oomKills }) => oomKills))) {
    say(`the guest ran out of memory: ${line}`);
  }
  const guestStatus = sayHowItEnded(outcome, options);
  for (const { command, reason } of results) {
    if (reason !== undefined && ![outcome.stopped?.reason, outcome.failed].includes(reason)) {
      say(`${command.name}: ${reason}`);
    }
  }
  const isStuck = results.some(({ stuck }) => stuck);
  if (guestStatus === undefined && isStuck && !options.verbose) showLog(outcome.log);
  if (options.results !== undefined) {
    const rows = results.map((result) => ({
      name: result.command.name,
      command: result.command.words,
      status: result.status ?? null,
      seconds: result.seconds,
      reason: result.reason ?? (result.started ? null : "it did not run"),
      oomKills: result.oomKills,
      output: result.output,
    }));
    fs.writeFileSync(options.results, `${JSON.stringify(rows, null, 2)}\n`);
  }
  const statuses = results.map((result) => statusOf(result, options));
  return guestStatus ?? statuses.find((status) => status !== 0) ?? 0;
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

function checkNumber(word: string, option: string, what: string, min: number, max: number): void {
  if (/^\d{1,6}$/.test(word) && Number(word) >= min && Number(word) <= max) return;
  throw new ShapeError(`${option} is "${word}": it has to be ${what} from ${min} to ${max}`);
}

/** Checks the options that are not about the shape. */
function checkOptions(options: Options): Options {
  const seconds = "a whole number of seconds";
  if (options.timeout !== undefined) checkNumber(options.timeout, "--timeout", seconds, 1, 999_999);
  if (options.stuck !== "0") checkNumber(options.stuck, "--stuck", `0 or ${seconds}`, 10, 999_999);
  if (options.caches !== undefined && options.count !== true && options.countTo === undefined) {
    throw new ShapeError("--caches: what has them is the counter, so give --count or --count-to");
  }
  checkNumber(options.jobs, "--jobs", "a number of commands", 1, MAX_COMMANDS);
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

/** The commands of a file, which is what `--commands` says in the help. */
function readCommands(file: string): GuestCommand[] {
  const refuse = (why: string): never => {
    throw new ShapeError(`--commands "${file}": ${why}`);
  };
  let rows: unknown;
  try {
    rows = JSON.parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    return refuse((error as Error).message);
  }
  if (!Array.isArray(rows)) return refuse("it has to be an array");
  return rows.map((row: { name?: unknown; command?: unknown; env?: unknown }, index) => {
    const words = row?.command;
    const isList = Array.isArray(words) && words.length > 0 &&
      words.every((word) => typeof word === "string");
    if (!isList) return refuse(`"command" of row ${index} has to be an array of texts`);
    const env = Object.entries(row.env ?? {});
    if (!env.every(([name, value]) => /^[A-Za-z_]\w*$/.test(name) && typeof value === "string")) {
      return refuse(`"env" of row ${index} has to be an object of names and texts`);
    }
    return {
      name: typeof row.name === "string" ? row.name : words.join(" "),
      words,
      env: Object.fromEntries(env) as Record<string, string>,
    };
  });
}

/** The commands on the command line, or those of a file. */
function commandsOf(
  words: readonly string[],
  { commands, count, countTo }: Options,
): GuestCommand[] {
  if (commands !== undefined && words.length > 0) {
    throw new ShapeError("--commands and a command on the command line: give one of them");
  }
  const lists: string[][] = [[]];
  for (const word of words) {
    if (word === THEN) lists.push([]);
    else lists.at(-1)?.push(word);
  }
  const all = commands === undefined
    ? lists.map((list) => ({ name: list.join(" "), words: list, env: {} }))
    : readCommands(commands);
  if (all.length === 0 || all.some((command) => command.words.length === 0)) {
    throw new ShapeError(`there is no command to run, or none beside a ${THEN}`);
  }
  if (all.length > MAX_COMMANDS) {
    throw new ShapeError(`${all.length} commands are more than a guest's ${MAX_COMMANDS}`);
  }
  if (countTo !== undefined && all.length > 1) {
    throw new ShapeError("--count and --count-to: one command at a time");
  }
  if (count === true) {
    return all.map((command) => ({ ...command, words: [COUNTED, ...command.words] }));
  }
  return all;
}

/** A folder that is gone afterwards. */
function makeFolder(): Disposable & { readonly path: string } {
  const path = fs.mkdtempSync(join(tmpdir(), "numa_vm-"));
  return { path, [Symbol.dispose]: () => fs.rmSync(path, { recursive: true }) };
}

/** Checks all that counting needs before an earlier run's counts are taken away. */
function prepareCounts(options: Options, shape: GuestShape, qemu: string): Options {
  if (options.countTo === undefined) return options;
  const countTo = findCounts(options.countTo);
  const prepared = { ...options, countTo };
  counterOf(shape, prepared);
  const unknown = unknownQemu(qemu);
  if (unknown !== undefined) throw new Failure(EXIT.missing, unknown);
  clearCounts(countTo);
  if (options.count === true) say("counting: the command runs some hundred times slower");
  return prepared;
}

/** Says on stderr what a command that was counted came to. Gives the exit status. */
function sayCounts(status: number, shape: GuestShape, { count, countTo }: Options): number {
  if (countTo === undefined) return status;
  if (!fs.existsSync(countTo)) {
    // A guest that failed has said so.
    if (status !== EXIT.guest) say("nothing was counted: no section began");
    return status === 0 ? EXIT.guest : status;
  }
  const counted = new Counted(countTo);
  if (count === true) {
    const summary = summarizeCounts(counted, (cpu) => nodeOfCpu(shape, cpu));
    process.stderr.write(`\n${summary}\n`);
    if (status !== 0) say(`the command that was counted ended with status ${status}`);
  }
  for (const warning of countWarnings(counted)) say(warning);
  return status;
}

const HELP = `
COMMAND runs as root in the checkout's folder, with .tools/bin first in PATH. It sees the host's files; what it writes
is gone afterwards, except under --out. Writes take the guest's memory. No stdin, no network but the loopback.

Several commands run in one guest: one after the other, or --jobs of them at a time (their output is then shown at the
end). What one of them writes, the next one sees. When one is stuck it is stopped, and the others go on. When the guest
dies, those that had not begun run in another one. --commands names a file:
  [{"name": "Bun", "command": ["bun", "test", "./tests/numa/two_nodes_test.ts"], "env": {"NAME": "VALUE"}}, …]
--results writes one row for each: name, command, status (null when it was stopped), seconds, reason, oomKills, output.

A command is stuck when for --stuck seconds it has written nothing, used less than 5 % of a CPU, and had no thread that
waits for a CPU. However busy the host is, a command that computes is not. A guest is dead when it tells nothing while its
CPUs sleep, or through minutes of CPU time.

--count has QEMU count where the command's loads and stores find their cache lines, and says which CPUs fetched lines from
other nodes, and from which memory. --count-to counts the sections that a program marks (native/counter/README.md), into a
file. Programs run many times slower. The kernel's automatic NUMA balancing is off.

Exit status: the command's own (128+N when signal N ended it), of several the first that is not 0; 2 wrong options;
3 something is not installed; 124 a command was stuck, or time limit; 125 the guest failed; 137 also when the guest ran
out of memory and the command said 0.

Examples:
  scripts/numa_vm --nodes 2 -- cat /sys/devices/system/node/node1/meminfo
  scripts/numa_vm --nodes 2 -- bun test a_test.ts --then node --test a_test.ts
  scripts/numa_vm --nodes 3 --cpus 2,2,0 --memory 1G,1G,512M --distances "10,21,17;21,10,28;17,28,10" -- CMD
  scripts/numa_vm --nodes 2 --memory 768M,3G --hugepages 0:2m=64,1:1g=1 -- CMD
  scripts/numa_vm --nodes 2 --cpus 8 --l3 2 --threads 2 --hmat -- CMD
  scripts/numa_vm --nodes 2 --count -- bun my_server.ts
  scripts/numa_vm --nodes 2 --count-to counts.json -- build/counter/patterns`;

function program(): Command {
  const list = (value: string, before: readonly string[] = []) => [...before, value];
  return new Command("numa_vm")
    .description("Runs commands in an emulated machine with several NUMA nodes.")
    .usage(`--nodes N [options] -- COMMAND ARG... [${THEN} COMMAND ARG...]...`)
    .argument("[command...]", `what to run, with its arguments; ${THEN} between several`)
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
    .option("--nics <nodes>", "nodes with a network card; one more is on no node")
    .option("--env <name=value>", "a variable for the command (repeatable)", list)
    .option("--out <dir>", "a folder of the host that the command may write to")
    .option("--commands <file>", "the commands, as JSON")
    .option("--results <file>", "what became of them, as JSON")
    .option("--jobs <n>", "commands that run at a time", "1")
    .option("--stuck <seconds>", "stop a command without progress; 0: never", "180")
    .option("--timeout <seconds>", "time limit for all of it, boot included; default: none")
    .option("--count", "count the cache lines that the command fetches, and say where from")
    .option(
      "--count-to <file>",
      "count those of its marked sections, as JSON; with --count, of all",
    )
    .option(
      "--caches <name>",
      `whose caches: ${CACHE_NAMES.join(", ")} (default: "${DEFAULT_CACHES}")`,
    )
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
    const given = checkOptions(cli.opts<Options>());
    using folder = given.count === true && given.countTo === undefined ? makeFolder() : undefined;
    const asked = folder === undefined
      ? given
      : { ...given, countTo: join(folder.path, "counts.json") };
    const shape = parseShape(asked);
    const results = commandsOf(cli.args, asked).map(notRun);
    const qemu = checkPrerequisites(shape.arch);
    const options = prepareCounts(asked, shape, qemu);
    const { timeout, verbose = false } = options;
    const aside = options.jobs !== "1" && results.length > 1;
    const run: RunOptions = {
      stuck_s: Number(options.stuck),
      deadline_ms: timeout === undefined ? Infinity : performance.now() + Number(timeout) * 1000,
      timeout,
      keepOutput: aside || options.results !== undefined,
      passOutput: !aside,
      counts: options.countTo !== undefined,
      verbose,
    };
    const outcome = await bootAll(
      results,
      options,
      (left) => boot(qemu, shape, left, options, run),
    );
    if (aside) {
      for (const { command, output } of results) {
        process.stdout.write(`--- ${command.name}\n${output}`);
      }
    }
    return sayCounts(conclude(outcome, results, options), shape, options);
  } catch (error) {
    // Commander has already said what is wrong, or shown the help.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    if (!(error instanceof ShapeError || error instanceof Failure)) throw error;
    say(error.message);
    return error instanceof Failure ? error.status : EXIT.usage;
  }
}

process.exitCode = await main(process.argv.slice(2));
