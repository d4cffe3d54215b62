/**
 * What a task is, in the words behind its state, where its arguments and its result are numbers and the like.
 *
 * ```
 *   word 1      | the function: its index in the list of the module's functions; BUILTIN + index in the list of ours
 *        2      | how many arguments: 4 bits; then 4 bits for each, what it is | or MESSAGE: they come by a message
 *        3      | what the result is | or MESSAGE
 *        4, 5   | when it was submitted, by `monotonicMs`; then the result if it is a number
 *        6 …    | the arguments that are numbers, two words each
 * ```
 *
 * @module
 */
import type { TaskCore } from "./task_core.ts";

/** The most arguments that fit. */
const MOST = 5;
const FUNCTION = 1;
const ARGUMENTS = 2;
const RESULT = 3;
/** In numbers of 64 bits. */
const TIME = 2;
const FIRST = 3;

const KIND_BITS = 4;
const KIND_MASK = (1 << KIND_BITS) - 1;
const NUMBER = 0;
const UNDEFINED = 1;
const NULL = 2;
const TRUE = 3;
const FALSE = 4;
const NOTHING = 5;
/** Arguments, or a result, that come by a message. */
const MESSAGE = 1 << 28;

/** Added to the index of a function of numakit's own. */
export const BUILTIN: number = 1 << 16;

/** What {@linkcode TaskRecords.result} returns for a result that comes by a message. */
export const BY_MESSAGE: unique symbol = /* @__PURE__ */ Symbol("by message");

function kindOf(value: unknown): number {
  if (typeof value === "number") return NUMBER;
  if (value === undefined) return UNDEFINED;
  if (value === null) return NULL;
  if (value === true) return TRUE;
  if (value === false) return FALSE;
  return NOTHING;
}

function valueOf(kind: number, number: number): unknown {
  if (kind === NUMBER) return number;
  if (kind === TRUE) return true;
  if (kind === FALSE) return false;
  return kind === NULL ? null : undefined;
}

/**
 * Whether arguments fit into words.
 *
 * @param args The arguments.
 * @returns Whether they do.
 */
export function fits(args: readonly unknown[]): boolean {
  return args.length <= MOST && args.every((value) => kindOf(value) !== NOTHING);
}

/** The tasks' words, in one thread. */
export class TaskRecords {
  readonly #core: TaskCore;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;
  /** Arguments that are numbers, until all have been looked at. */
  readonly #kept = new Float64Array(MOST);
  /** How many tasks have been looked at. */
  #looks = 0;

  /**
   * @param core Where they are.
   * @param words The core's words, from an address that is a multiple of 8.
   */
  constructor(core: TaskCore, words: Int32Array) {
    this.#core = core;
    this.#words = words;
    const length = Math.floor(words.length / 2);
    this.#numbers = new Float64Array(words.buffer, words.byteOffset, length);
  }

  /**
   * Writes a task. For the host, before it submits it.
   *
   * @param place The task's place.
   * @param index Its function.
   * @param args Its arguments.
   * @returns False, and nothing is written, when they do not fit and have to come by a message, or when to look at them was
   * to submit another task, perhaps in this place.
   */
  write(place: number, index: number, args: readonly unknown[]): boolean {
    const looks = this.#looks = (this.#looks + 1) | 0;
    const kept = this.#kept;
    const count = args.length;
    if (count > MOST) return false;
    let kinds = count;
    for (let which = 0; which < count; which++) {
      const value = args[which];
      const kind = kindOf(value);
      if (kind === NOTHING) return false;
      if (kind === NUMBER) kept[which] = value as number;
      kinds |= kind << (KIND_BITS * (which + 1));
    }
    if (looks !== this.#looks) return false;
    const at = this.#core.taskAt(place);
    const numbers = (at >> 1) + FIRST;
    for (let which = 0; which < count; which++) {
      this.#numbers[numbers + which] = kept[which] as number;
    }
    this.#words[at + FUNCTION] = index;
    this.#words[at + ARGUMENTS] = kinds;
    return true;
  }

  /**
   * Writes a task whose arguments come by a message.
   *
   * @param place The task's place.
   * @param index Its function.
   */
  writeMessage(place: number, index: number): void {
    const at = this.#core.taskAt(place);
    this.#words[at + FUNCTION] = index;
    this.#words[at + ARGUMENTS] = MESSAGE;
  }

  /**
   * Says when a task was submitted.
   *
   * @param place The task's place.
   * @param time What `monotonicMs` said.
   */
  stamp(place: number, time: number): void {
    this.#numbers[(this.#core.taskAt(place) >> 1) + TIME] = time;
  }

  /**
   * When a task was submitted. Before its result is written.
   *
   * @param place The task's place.
   * @returns What was said then.
   */
  stampOf(place: number): number {
    return this.#numbers[(this.#core.taskAt(place) >> 1) + TIME] as number;
  }

  /**
   * A task's function.
   *
   * @param place The task's place.
   * @returns Its index.
   */
  functionOf(place: number): number {
    return this.#words[this.#core.taskAt(place) + FUNCTION] as number;
  }

  /**
   * How many arguments a task has.
   *
   * @param place The task's place.
   * @returns The number; -1 if they come by a message.
   */
  count(place: number): number {
    const kinds = this.#words[this.#core.taskAt(place) + ARGUMENTS] as number;
    if ((kinds & MESSAGE) !== 0) return -1;
    const count = kinds & KIND_MASK;
    return count < MOST ? count : MOST;
  }

  /**
   * An argument.
   *
   * @param place The task's place.
   * @param which Which one.
   * @returns Its value.
   */
  argument(place: number, which: number): unknown {
    const at = this.#core.taskAt(place);
    const kinds = this.#words[at + ARGUMENTS] as number;
    const kind = (kinds >>> (KIND_BITS * (which + 1))) & KIND_MASK;
    return valueOf(kind, this.#numbers[(at >> 1) + FIRST + which] as number);
  }

  /**
   * Writes a result. For a worker, before it hands the task in.
   *
   * @param place The task's place.
   * @param value The result.
   * @returns False when it does not fit: then it is said to come by a message.
   */
  finish(place: number, value: unknown): boolean {
    const at = this.#core.taskAt(place);
    const kind = kindOf(value);
    this.#words[at + RESULT] = kind === NOTHING ? MESSAGE : kind;
    if (kind === NUMBER) this.#numbers[(at >> 1) + TIME] = value as number;
    return kind !== NOTHING;
  }

  /**
   * A task's result. For the host.
   *
   * @param place The task's place.
   * @returns The result, or {@linkcode BY_MESSAGE}.
   */
  result(place: number): unknown {
    const at = this.#core.taskAt(place);
    const kind = this.#words[at + RESULT] as number;
    if ((kind & MESSAGE) !== 0) return BY_MESSAGE;
    return valueOf(kind, this.#numbers[(at >> 1) + TIME] as number);
  }
}
