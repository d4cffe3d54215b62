/**
 * Runs commands in a guest: passes on what they write, takes what the guest's init reports (see guest_init.sh), and ends
 * a command or the guest that does not get on.
 *
 * Each command's stdout and stderr, the reports and the kernel's console have a socket that QEMU inherits.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import type { GuestCommand } from "./guest_files.ts";
import { CommandProgress, GuestLife, type LifeLimits } from "./guest_progress.ts";
import { hostTime } from "./host_time.ts";

/** The statuses that are not a command's own. */
export const EXIT = {
  usage: 2,
  missing: 3,
  stopped: 124,
  guest: 125,
  killed: 137,
} as const;

/** QEMU inherits these; 0 to 2 are its own. The commands' sockets follow: stdout and stderr of each. */
export const FD = { report: 3, console: 4, initramfs: 5, commands: 6 } as const;

/** A boot takes 15 to 25 s of CPU time. About one in eighty never ends: emulated CPUs of QEMU 7.2 lose an interrupt. */
const BOOT_LIFE: LifeLimits = { idle_s: 40, cpu_s: 100 };
/** A guest that runs a command tells something every 5 s. */
const COMMAND_LIFE: LifeLimits = { idle_s: 60, cpu_s: 300 };
const LOOK_EVERY_MS = 2000;
/** How long a guest may take to tell what its threads are at. */
const LOOKING_MS = 15_000;
/** How long the init may take to end a command that is stuck, by the guest's clock. */
const MAX_KILLING_S = 60;
/** How long QEMU may take to write what it counted. */
const WRITING_MS = 30_000;
const MAX_LOG_CHARACTERS = 65_536;

/** How a command ended. */
export interface CommandResult {
  readonly command: GuestCommand;
  /** Whether the guest began it. */
  started: boolean;
  /** Its exit status; undefined when it never came to one of its own. */
  status: number | undefined;
  seconds: number;
  /** Why it was stopped. */
  reason: string | undefined;
  /** It made no progress. */
  stuck: boolean;
  /** What the guest's kernel logged when it killed for memory meanwhile. */
  readonly oomKills: string[];
  /** What it wrote to stdout and stderr, if that is kept. */
  output: string;
}

/** What became of one boot. */
export interface Boot {
  ready: boolean;
  /** All commands came to their ends. */
  ended: boolean;
  failed: string | undefined;
  /** Why this side ended it. */
  stopped: { readonly reason: string; readonly status: number } | undefined;
  /** It never came so far that a command began, without a reason: another try is worth it. */
  hung: string | undefined;
  log: string;
}

/** What `runGuest` needs to know. */
export interface RunOptions {
  /** For how long a command may show no progress, in seconds; 0 for ever. */
  readonly stuck_s: number;
  /** The end of all, by `performance.now()`; Infinity for none. */
  readonly deadline_ms: number;
  /** What the message at that time says. */
  readonly timeout: string | undefined;
  /** Whether what commands write is kept in their results. */
  readonly keepOutput: boolean;
  /** Whether it is passed on as it comes. */
  readonly passOutput: boolean;
  /** Whether QEMU counts lines: what is open is written at its end, and it says itself what went wrong. */
  readonly counts: boolean;
  readonly verbose: boolean;
}

/** Says something about the guest on stderr. */
export function say(line: string): void {
  process.stderr.write(`numa_vm: ${line}\n`);
}

/** A command that has not run. */
export function notRun(command: GuestCommand): CommandResult {
  return {
    command,
    started: false,
    status: undefined,
    seconds: 0,
    reason: undefined,
    stuck: false,
    oomKills: [],
    output: "",
  };
}

/**
 * Starts QEMU. It dies with this process, even when that is killed with SIGKILL.
 *
 * @param qemu The program.
 * @param args Its arguments, with the descriptors of `FD` in them.
 * @param initramfs The open file.
 * @param commands How many commands there are.
 */
export function startQemu(
  qemu: string,
  args: readonly string[],
  initramfs: number,
  commands: number,
): ChildProcess {
  const pipes = new Array<"pipe">(2 * commands).fill("pipe");
  return spawn("setpriv", ["--pdeathsig", "KILL", "--", qemu, ...args], {
    stdio: ["ignore", "ignore", "pipe", "pipe", "pipe", initramfs, ...pipes],
  });
}

/** What is known of a command while it runs. */
interface Running {
  readonly result: CommandResult;
  readonly progress: CommandProgress;
  readonly start_ms: number;
  /** Since when the init has been told to end it, by the guest's clock. */
  killed_s?: number;
}

/** One boot of a guest, and the commands in it. */
class GuestRun {
  readonly boot: Boot = {
    ready: false,
    ended: false,
    failed: undefined,
    stopped: undefined,
    hung: undefined,
    log: "",
  };
  readonly #guest: ChildProcess;
  readonly #results: readonly CommandResult[];
  readonly #options: RunOptions;
  readonly #running = new Map<number, Running>();
  readonly #life = new GuestLife(performance.now() / 1000);
  readonly #oomSeen = new Set<string>();
  #afterLook: (() => void)[] = [];
  #isEnding = false;

  constructor(guest: ChildProcess, results: readonly CommandResult[], options: RunOptions) {
    this.#guest = guest;
    this.#results = results;
    this.#options = options;
  }

  #stream(fd: number): Duplex {
    return this.#guest.stdio[fd] as Duplex;
  }

  #end(): void {
    if (!this.#options.counts || this.#isEnding) return void this.#guest.kill("SIGKILL");
    this.#isEnding = true;
    this.#guest.kill("SIGTERM");
    setTimeout(() => this.#end(), WRITING_MS).unref();
  }

  /** Ends the guest; in time to tell what its threads are at, if it can. */
  #stop(reason: string, status: number, look: boolean): void {
    if (this.boot.stopped !== undefined) return this.#end();
    this.boot.stopped = { reason, status };
    if (!look || !this.boot.ready) return this.#end();
    this.#look(() => this.#end());
  }

  /** Has the guest tell what its threads are at, once for all who ask meanwhile. */
  #look(then: () => void): void {
    if (this.#afterLook.push(then) > 1) return;
    setTimeout(() => this.#onLooked(), LOOKING_MS).unref();
    this.#stream(FD.report).write("look\n");
  }

  #onLooked(): void {
    for (const then of this.#afterLook.splice(0)) then();
  }

  #onOutput(index: number, to: NodeJS.WriteStream, chunk: Buffer, text: string): void {
    const result = this.#results[index] as CommandResult;
    this.#life.told();
    this.#running.get(index + 1)?.progress.wrote();
    if (this.#options.keepOutput) result.output += text;
    if (this.#options.passOutput) to.write(chunk);
  }

  #onBeat(words: readonly string[]): void {
    const [uptime, ...counts] = words;
    for (const count of counts) {
      const [number = 0, ticks = 0, runs = 0] = count.split(":").map(Number);
      const command = this.#running.get(number);
      const beat = { uptime_s: Number(uptime), ticks, runs: runs === 1 };
      if (command === undefined) continue;
      if (command.killed_s !== undefined) {
        if (beat.uptime_s - command.killed_s > MAX_KILLING_S) {
          this.#stop(`${command.result.reason}, and it can't be ended`, EXIT.stopped, false);
        }
      } else if (command.progress.isStuckAt(beat)) {
        command.killed_s = beat.uptime_s;
        command.result.stuck = true;
        command.result.reason =
          `stopped: no progress for ${this.#options.stuck_s} s (no output, hardly any CPU time)`;
        this.#look(() => this.#stream(FD.report).write(`kill ${number}\n`));
      }
    }
  }

  #onReport(line: string): void {
    const [word, ...words] = line.split(" ");
    const rest = words.join(" ");
    const number = Number(words[0]);
    this.#life.told();
    if (word === "ready") this.boot.ready = true;
    if (word === "start") {
      const result = this.#results[number - 1] as CommandResult;
      const progress = new CommandProgress(this.#options.stuck_s);
      result.started = true;
      this.#running.set(number, { result, progress, start_ms: performance.now() });
    }
    if (word === "beat") this.#onBeat(words);
    if (word === "looked") this.#onLooked();
    if (word === "oom" && !this.#oomSeen.has(rest)) {
      this.#oomSeen.add(rest);
      for (const { result } of this.#running.values()) result.oomKills.push(rest);
    }
    if (word === "exit") this.#onExit(number, Number(words[1]));
    if (word === "failed") this.boot.failed = rest;
    if (word === "end") this.boot.ended = true;
    // All output was taken by the sockets before this was written, so nothing is lost.
    if (word === "failed" || word === "end") this.#end();
  }

  #onExit(number: number, status: number): void {
    const command = this.#running.get(number);
    if (command === undefined) return;
    this.#running.delete(number);
    const { result, start_ms } = command;
    result.seconds = (performance.now() - start_ms) / 1000;
    if (command.killed_s === undefined) result.status = status;
    if (this.#results.length === 1) return;
    const how = result.reason ?? `exit status ${status}`;
    say(`${result.command.name}: ${how} (${result.seconds.toFixed(1)} s)`);
  }

  /** Ends a guest that is dead. */
  #checkLife(): void {
    const { ready, stopped } = this.boot;
    const had = hostTime(this.#guest.pid ?? 0);
    const death = this.#life.deathAt(
      performance.now() / 1000,
      had,
      ready ? COMMAND_LIFE : BOOT_LIFE,
    );
    if (death === undefined || stopped !== undefined) return;
    if (ready) return this.#stop(death, EXIT.guest, false);
    this.boot.hung = death;
    this.#end();
  }

  #onLog(chunk: string): void {
    const text = chunk.replaceAll("\r", "");
    this.#life.told();
    this.boot.log = (this.boot.log + text).slice(-MAX_LOG_CHARACTERS);
    if (this.#options.verbose) process.stderr.write(text);
  }

  #listen(): void {
    for (const index of this.#results.keys()) {
      for (const [offset, to] of [process.stdout, process.stderr].entries()) {
        const decoder = new StringDecoder();
        this.#stream(FD.commands + 2 * index + offset).on("data", (chunk: Buffer) => {
          this.#onOutput(index, to, chunk, decoder.write(chunk));
        });
      }
    }
    for (const fd of [FD.console, 2]) {
      this.#stream(fd).setEncoding("utf8").on("data", (chunk: string) => this.#onLog(chunk));
    }
    const started_ms = performance.now();
    createInterface({ input: this.#stream(FD.report) }).on("line", (line) => {
      this.#onReport(line);
      if (line !== "ready" || !this.#options.verbose) return;
      const boot_s = (performance.now() - started_ms) / 1000;
      say(`the command starts after ${boot_s.toFixed(1)} s`);
    });
    // QEMU goes away with what was written to it.
    this.#stream(FD.report).on("error", () => {});
  }

  /** What did not end on its own ended with the guest. */
  #settle(): void {
    // A mark that the counter refuses ends QEMU.
    const [refusal] = (this.#options.counts && /^counter: .*/m.exec(this.boot.log)) || [];
    if (!this.boot.ended && this.boot.stopped === undefined) this.boot.failed ??= refusal;
    for (const { result, start_ms } of this.#running.values()) {
      result.seconds = (performance.now() - start_ms) / 1000;
      result.reason ??= this.boot.stopped?.reason ?? this.boot.failed ?? "the guest ended";
    }
  }

  async wait(): Promise<void> {
    const { deadline_ms, timeout } = this.#options;
    this.#listen();
    // A reader that went away (`numa_vm … | head`) is the end of a command here as anywhere.
    const onReaderGone = () =>
      this.#stop("nobody reads the output", 128 + constants.signals.SIGPIPE, false);
    process.stdout.on("error", onReaderGone);
    const onSignal = (signal: NodeJS.Signals) =>
      this.#stop(`stopped by ${signal}`, 128 + constants.signals[signal], false);
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of signals) process.on(signal, onSignal);
    const lifeTimer = setInterval(() => this.#checkLife(), LOOK_EVERY_MS);
    const timer = deadline_ms === Infinity ? undefined : setTimeout(() => {
      const when = this.boot.ready ? "" : " before the command started";
      const reason = `time limit of ${timeout} s reached${when}: guest stopped`;
      this.#stop(reason, EXIT.stopped, true);
    }, deadline_ms - performance.now());
    try {
      await new Promise((done, fail) => {
        this.#guest.on("error", fail);
        this.#guest.on("close", done);
      });
    } finally {
      clearTimeout(timer);
      clearInterval(lifeTimer);
      process.stdout.off("error", onReaderGone);
      for (const signal of signals) process.off(signal, onSignal);
    }
    this.#settle();
  }
}

/**
 * Waits for a guest.
 *
 * @param guest QEMU, as `startQemu` started it.
 * @param results What becomes of its commands, in their order; filled in here.
 * @param options How.
 * @returns What became of the guest itself.
 */
export async function runGuest(
  guest: ChildProcess,
  results: readonly CommandResult[],
  options: RunOptions,
): Promise<Boot> {
  const run = new GuestRun(guest, results, options);
  await run.wait();
  return run.boot;
}
