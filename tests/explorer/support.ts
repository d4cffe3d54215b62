/**
 * What stepwise code calls that is no step: plain accesses, closures, constructors, and plain functions that call what
 * has steps. And what each thread got to know, which is what its state is.
 *
 * @module
 */

import { MAX_THREADS } from "./bits.ts";
import { Memory } from "./memory.ts";
import { Misuse, type Words } from "./ops.ts";
import type { Site } from "./rewrite_accesses.ts";
import { mix } from "./state.ts";

/** A function in stepwise form, while it runs. */
export type Code = Generator<unknown, unknown, unknown>;
/** A function that has a stepwise form. */
export type Stepping = ((...args: unknown[]) => unknown) & { step$?: (...args: unknown[]) => Code };

/** The place, behind those of the threads, of code that none of them runs, such as `setup`. */
export const NOBODY: number = MAX_THREADS;
/** Places for what is kept of threads. */
export const PLACES: number = MAX_THREADS + 1;

/** Objects whose methods are steps; stepwise code knows them by this. */
export class Host {}

/** The part of the runtime that schedules nothing. */
export class Support {
  readonly Host: typeof Host = Host;
  /** Marks a constructor call whose work comes later. */
  readonly LATER: symbol = Symbol("later");
  memory: Memory = new Memory(1, 1);
  sites: readonly Site[] = [];
  /** The thread that runs; -1 for none; -2 and less for one that is before its first step. */
  current = -1;
  /** Whether threads run, not `setup` or `end`. */
  exploring = false;
  /** How many plain functions that cannot rest are running. */
  protected plains = 0;
  // Hashes of what each thread got to know, and of what was noted
  protected readonly lows: Int32Array = new Int32Array(PLACES);
  protected readonly highs: Int32Array = new Int32Array(PLACES);
  protected noted = 0;
  protected noted2 = 0;

  /** The thread whose code runs, be it before its first step; -1 for none. */
  get me(): number {
    return this.current < -1 ? -2 - this.current : this.current;
  }

  /** Forgets what threads know. */
  protected forgetAll(): void {
    this.lows.fill(0);
    this.highs.fill(0);
    this.noted = this.noted2 = this.plains = 0;
  }

  /** Makes an answer part of what a thread knows. */
  protected learn(thread: number, result: unknown): void {
    let value = 0;
    if (typeof result === "number") value = result | 0;
    else if (result === true) value = 1;
    else if (typeof result === "bigint") {
      value = mix(Number(BigInt.asIntN(32, result)), Number(BigInt.asIntN(32, result >> 32n)));
    }
    this.lows[thread] = mix(this.lows[thread] as number, value);
    this.highs[thread] = mix(value ^ 0x51ed27, this.highs[thread] as number);
  }

  /** Makes something part of the state. */
  note(value: number): void {
    this.noted = mix(this.noted, value);
    this.noted2 = mix(value ^ 0x51ed27, this.noted2);
  }

  /** Where a step is. */
  where(site: number): string {
    const { file, line } = this.sites[site] ?? { file: "?", line: 0 };
    return `${file}:${line}`;
  }

  // Plain code

  /** Runs a generator where it cannot rest. */
  finish(code: Code): unknown {
    this.plains++;
    try {
      const { done, value } = code.next();
      if (done !== true) throw new Misuse("a generator rests in plain code");
      return value;
    } finally {
      this.plains--;
    }
  }

  /** A function with steps that has no name. */
  closure(step: (...args: unknown[]) => Code): Stepping {
    const plain: Stepping = (...args) => this.finish(step(...args));
    plain.step$ = step;
    return plain;
  }

  /** `new` of a class whose constructor has steps, or of any other. */
  *make(made: new (...args: unknown[]) => object, args: unknown[]): Generator<unknown, object> {
    const init = (made.prototype as { $init?: (...args: unknown[]) => Code }).$init;
    if (init === undefined) return new made(...args);
    const object = new made(this.LATER);
    yield* init.apply(object, args);
    return object;
  }

  /** A plain read of an element. */
  get(_site: number, array: Words, index: number): unknown {
    const value = array[index];
    if (Array.isArray(array)) return value;
    const word = this.memory.wordOf(array, index);
    if (word >= 0 && this.exploring) {
      const thread = this.me;
      this.memory.plainRead(thread, word);
      this.learn(thread, value);
    }
    return value;
  }

  /** A plain write of an element. */
  set(_site: number, array: Words, index: number, value: unknown): unknown {
    const word = Array.isArray(array) ? -1 : this.memory.wordOf(array, index);
    if (word < 0) (array as unknown as unknown[])[index] = value;
    else {
      const thread = this.me;
      this.memory.plainWrite(thread, word, array, index, value);
    }
    return value;
  }

  /** `++` and `--` of an element. */
  update(site: number, array: Words, index: number, delta: number, postfix: boolean): unknown {
    const before = this.get(site, array, index) as number;
    this.set(site, array, index, before + delta);
    return postfix ? before : array[index];
  }
}
