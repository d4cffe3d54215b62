/**
 * Moving a thread that runs.
 *
 * Its CPUs are changed from outside, and at once, whatever it is doing: the C helper finds it by its identity, which is
 * never used again, and pins it while it cannot end. Its memory policy can only be changed by the thread itself, when it
 * comes to its event loop; the report says whether that has happened.
 *
 *     launcher                                thread
 *     sched_setaffinity(its OS thread id)     runs on, elsewhere
 *     move ────────────────────────────────▶  pins itself there once more, sets its memory policy
 *                        ◀─────────────────── moved, with what came of it
 *
 * It pins itself as well, because at that moment it may be in the midst of `unpinned`, and because it has to know that it
 * was numakit which did this.
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { ERRNO } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { MASK_WORDS } from "../../topology/load.ts";
import { parkingLot } from "../../wait/thread_waiter.ts";
import { type BindStrengths, checkStrengths, type ThreadBinding } from "../binding/binding.ts";
import { checkPolicy } from "../policies/chosen.ts";
import { flattenWish, type Move, type ToWorker } from "../message.ts";
import { checkFunction, checkSignal, readOptions } from "../../base/options.ts";
import { homeAffinity, PIN, pinError, type Wish, withinHome } from "../binding/pin.ts";
import type { Policy } from "../policies/policy.ts";
import type { MigrateOptions, MigrationReport } from "./migrate_types.ts";
import { moveMemory, stepsOf } from "./move_memory.ts";
import { isSamePolicy, type Seat, takeSeat } from "./seats.ts";

/** What is moved. */
export interface Movable {
  readonly name: string;
  /** Its id in the parking lot. */
  readonly id: number;
  /** One word: the number of its last move. */
  readonly moves: Int32Array;
  /** Sends it a message, which is lost when it has ended. */
  send(message: ToWorker): void;
}

/** What a thread says of its own part of a move. */
export interface Settled {
  /** How it is bound now. */
  readonly binding: ThreadBinding | undefined;
  /** Why something that is required was refused. */
  readonly error: NumaError | undefined;
}

const OPTIONS = ["place", "bind", "buffers", "timeoutMs", "onProgress", "signal"] as const;
const TIMEOUT_MS = 1000;

function checked(options: MigrateOptions, action: string): MigrateOptions {
  const read = readOptions(options, OPTIONS, action);
  const { place, buffers, timeoutMs, signal } = read;
  if (place !== undefined) checkInteger(place, "place", 0, 65_534, action);
  if (timeoutMs !== undefined) checkInteger(timeoutMs, "timeoutMs", 0, 2 ** 31 - 1, action);
  checkFunction(read.onProgress, "onProgress", action);
  if (buffers !== undefined && !Array.isArray(buffers)) {
    throw new NumaError("EINVAL", action, {
      why: `buffers is ${show(buffers)}`,
      fix: "Give an array of them.",
    });
  }
  checkSignal(signal, action);
  return read;
}

/** The CPUs that a thread gets, of those that it may have at all; undefined when they are not to be changed. */
function targetOf({ cpus, strengths }: Wish, home: CpuSet): CpuSet | undefined {
  if (strengths.cpus === "off") return undefined;
  if (cpus === undefined) return home;
  const { part, refused } = withinHome(cpus, home);
  if (strengths.cpus === "require" && refused !== undefined) throw refused;
  return part.size > 0 ? part : home;
}

/** What has become of a thread's memory policy, when it has told. */
function memoryOf(settled: Settled | undefined): MigrationReport["memory"] {
  if (settled === undefined) return "pending";
  const { binding, error } = settled;
  if (error !== undefined || binding?.memory.refused !== undefined) return "refused";
  return binding?.memory.got === undefined ? "none" : "moved";
}

/** Where a thread is, and what moves it. */
export class Mover {
  readonly #thread: Movable;
  #seat: Seat;
  #state: "starting" | "running" | "ended" = "starting";
  /** One move after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** And the moving of their buffers, which nobody has to wait for who moves none. */
  #buffers: Promise<unknown> = Promise.resolve();
  /** The last move, while the thread has not done its own part. */
  #unanswered: Move | undefined;
  /** Waits for that. */
  #answer: (settled: Settled | undefined) => void = () => {};
  readonly #started: Promise<void>;
  #start: () => void = () => {};

  constructor(thread: Movable, seat: Seat) {
    this.#thread = thread;
    this.#seat = seat;
    this.#started = new Promise((resolve) => {
      this.#start = resolve;
    });
  }

  /** Where it runs. */
  get seat(): Seat {
    return this.#seat;
  }

  /** The thread is in its first place. */
  started(): void {
    if (this.#state === "starting") this.#state = "running";
    this.#start();
  }

  /** The thread is gone. */
  ended(): void {
    this.#state = "ended";
    this.#start();
    this.#seat.free();
    this.#answer(undefined);
  }

  /** The thread has done its own part of a move. */
  moved(serial: number, settled: Settled): void {
    if (this.#unanswered?.serial !== serial) return;
    this.#unanswered = undefined;
    this.#answer(settled);
  }

  /** What `Thread.migrate` does. */
  async migrate(policy: Policy | string, options: MigrateOptions): Promise<MigrationReport> {
    const action = `migrate thread ${show(this.#thread.name)}`;
    const where = checkPolicy(policy, action);
    const read = checked(options, action);
    const { bind } = read;
    const strengths = bind === undefined ? undefined : checkStrengths(bind, action);
    const steps = stepsOf(read.buffers ?? [], action);
    if (read.signal?.aborted === true) throw read.signal.reason;
    const report = await this.#inTurn(() => this.#migrate(where, strengths, read, steps, action));
    const { node } = report.to;
    if (steps.length === 0 || node === undefined) return report;
    const moving = this.#buffers.then(() => moveMemory(steps, node, read, action));
    this.#buffers = moving.catch(() => {});
    const { bytes: bufferBytes, movedPages, absentPages } = await moving;
    return { ...report, bufferBytes, movedPages, absentPages };
  }

  /**
   * Takes the place anew that the thread has by then, since the machine has changed, or what the kernel made of it.
   *
   * @param timeoutMs As of `Thread.migrate`.
   * @returns As of `Thread.migrate`.
   */
  replan(timeoutMs: number): Promise<MigrationReport> {
    const action = `put thread ${show(this.#thread.name)} in its place anew`;
    return this.#inTurn(() => {
      const { policy, place } = this.#seat;
      return this.#migrate(policy, undefined, { place, timeoutMs }, [], action);
    });
  }

  #inTurn<Result>(call: () => Promise<Result>): Promise<Result> {
    const turn = this.#turn.then(call);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #migrate(
    policy: Policy,
    bind: Required<BindStrengths> | undefined,
    options: MigrateOptions,
    steps: readonly Uint8Array[],
    action: string,
  ): Promise<MigrationReport> {
    await this.#started;
    if (options.signal?.aborted === true) throw options.signal.reason;
    if (this.#state === "ended") throw this.#gone(action);
    const old = this.#seat;
    const place = options.place ?? (isSamePolicy(policy, old.policy) ? old.place : undefined);
    const seat = takeSeat(policy, bind ?? old.wish.strengths, place, action);
    const cpus = this.#sit(seat, steps.length > 0, action);
    const { placement: to, wish } = seat;
    const settled = await this.#settle(wish, options.timeoutMs ?? TIMEOUT_MS);
    if (settled === undefined && this.#hasEnded()) throw this.#gone(action);
    const told = settled?.binding;
    const refused = settled?.error ?? told?.cpus.refused ?? told?.memory.refused;
    return {
      ...{ from: old.placement, to, cpus, memory: memoryOf(settled) },
      refused: refused ?? wish.refused,
      ...{ bufferBytes: 0, movedPages: 0, absentPages: 0 },
    };
  }

  /** Asked for again after a wait, in which it may have. */
  #hasEnded(): boolean {
    return this.#state === "ended";
  }

  /** Takes a seat, and its CPUs; or frees it. */
  #sit(seat: Seat, needsNode: boolean, action: string): MigrationReport["cpus"] {
    try {
      if (needsNode && seat.placement.node === undefined) {
        throw new NumaError("EINVAL", action, {
          why: `CPUs ${seat.placement.cpus} have no one node to move buffers to`,
          fix: "Choose a policy that stays on one node, or leave out buffers.",
        });
      }
      const home = homeAffinity();
      const target = targetOf(seat.wish, home);
      // From now on the thread leaves alone what it has been told of earlier moves.
      Atomics.add(this.#thread.moves, 0, 1);
      const cpus = target === undefined ? "off" : this.#pin(target, home, seat.wish, action);
      this.#seat.free();
      this.#seat = seat;
      return cpus;
    } catch (error) {
      seat.free();
      if (this.#unanswered !== undefined) this.#tell(this.#unanswered);
      throw error;
    }
  }

  #pin(
    cpus: CpuSet,
    home: CpuSet,
    { cpus: own, strengths }: Wish,
    action: string,
  ): "moved" | "same" {
    const part = strengths.cpus === "prefer" || own === undefined;
    const identity = parkingLot().identityOf(this.#thread.id);
    const mask = cpus.toMask();
    const before = new BigUint64Array(MASK_WORDS);
    before.set(home.toMask());
    const how = PIN.own | (part ? PIN.part : 0);
    const result = identity === 0
      ? -ERRNO.ESTALE
      : native().calls.nk_thread_move(identity, mask, mask.length, how, before);
    if (result === -ERRNO.ESTALE) throw this.#gone(action);
    // It stays where it is, and tells why in its own part of the move.
    if (result < 0 && part) return "same";
    if (result === -ERRNO.EACCES) {
      throw new NumaError("EACCES", `${action} to CPUs ${cpus}`, {
        why: "somebody has given it an affinity that does not reach so far",
        fix: 'Widen that (taskset -p), or bind with { cpus: "prefer" }.',
      });
    }
    if (result < 0) throw pinError(result, `${action} to CPUs ${cpus}`);
    return CpuSet.fromMask(before.subarray(0, result)).equals(cpus) ? "same" : "moved";
  }

  /** Lets the thread do its own part of the last move. */
  #tell(move: Omit<Move, "serial">): void {
    this.#unanswered = { ...move, serial: Atomics.load(this.#thread.moves, 0) };
    this.#thread.send(this.#unanswered);
  }

  /** Lets the thread do its own part, and waits for it, but not for long. */
  async #settle(wish: Wish, timeoutMs: number): Promise<Settled | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const settled = await new Promise<Settled | undefined>((resolve) => {
      this.#answer = resolve;
      timer = setTimeout(resolve, timeoutMs, undefined);
      this.#tell({ type: "move", wish: flattenWish(wish), home: homeAffinity().toString() });
    });
    clearTimeout(timer);
    return settled;
  }

  #gone(action: string): NumaError {
    return new NumaError("ETERMINATED", action, {
      why: "it has ended",
      fix: "Launch another one there.",
    });
  }
}
