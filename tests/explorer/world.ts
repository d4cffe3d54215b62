/**
 * The world that a spec's threads live in, on top of the {@linkcode runtime}.
 *
 * @module
 */

import type { Waiter } from "../../lib/wait/waiter.ts";
import { Misuse, Violation } from "./ops.ts";
import { runtime } from "./runtime.ts";
import type { Case, World } from "./spec.ts";
import { Host } from "./support.ts";

/** What plain code gets when it calls what is a step. */
function refuse(what: string): never {
  throw new Misuse(`${what} called by code that is not stepwise`);
}

class ModelWaiter extends Host implements Waiter {
  readonly thread: number;
  readonly id: number;
  readonly slot: number;
  readonly domain: number;

  constructor(thread: number, slot: number, domain: number) {
    super();
    this.thread = thread;
    this.id = thread + 1;
    this.slot = slot;
    this.domain = domain;
  }

  spin(): boolean {
    return refuse("spin");
  }
  unpark(): void {
    refuse("unpark");
  }
  alive(): boolean {
    return refuse("alive");
  }
  now(): number {
    return refuse("now");
  }
}

/** Domains of a case's threads: half of them in the first when it does not say. */
export function domainsOf({ domains, threads }: Case): readonly number[] {
  return domains ??
    Array.from({ length: threads }, (_, thread) => Math.floor(thread * 2 / threads));
}

/** The world of one run. */
export class ModelWorld extends Host implements World {
  readonly buffer: SharedArrayBuffer = runtime.memory.buffer;
  readonly words: Int32Array = runtime.memory.words;
  readonly threads: number;
  readonly walking: boolean;
  readonly #waiters: readonly ModelWaiter[];
  /** Bits of the threads that have the lock. */
  #holders = 0;
  /** Threads in the order in which they went through the doorway. */
  #queue: { readonly thread: number; readonly most: number; passed: number }[] = [];
  readonly #doorways: (readonly number[] | undefined)[] = [];
  /** How often later ones may go before, for each that waits. */
  #bypass = 0;

  constructor(subject: Case, walking: boolean) {
    super();
    this.threads = subject.threads;
    this.walking = walking;
    this.#waiters = domainsOf(subject).map((domain, thread) =>
      new ModelWaiter(thread, subject.slots?.[thread] ?? thread, domain)
    );
    runtime.watch(undefined, () => {});
  }

  waiter(thread: number): Waiter {
    const waiter = this.#waiters[thread];
    if (waiter === undefined) throw new Misuse(`no thread ${thread}`);
    return waiter;
  }

  pause(): void {
    refuse("pause");
  }

  choose(): number {
    return refuse("choose");
  }

  check(condition: boolean, message: string): void {
    if (!condition) throw new Violation(message);
  }

  note(value: number): void {
    runtime.note(value);
  }

  killed(thread: number): boolean {
    return (runtime.killed & (1 << thread)) !== 0 || runtime.isUnborn(thread);
  }

  operation(name: string): void {
    runtime.freshWait();
    runtime.observer?.operation(runtime.me, name);
  }

  done(): void {
    runtime.observer?.operation(runtime.me, undefined);
  }

  lock(
    state: "wanted" | "taken" | "free" | "gave up",
    doorway?: readonly number[],
    bypass: number = 0,
  ): void {
    const thread = runtime.me;
    const bit = 1 << thread;
    if (doorway === undefined) runtime.observer?.lock(thread, state);
    if (state === "taken") {
      const other = this.#holders & ~runtime.killed;
      this.check(other === 0, `thread ${31 - Math.clz32(other)} has the lock, too`);
      this.#holders |= bit;
      this.#turn(thread);
    } else if (state === "wanted") {
      runtime.freshWait();
      this.#bypass = bypass;
      if (doorway !== undefined) this.#watch(thread, doorway);
    } else {
      if (state === "free") this.#holders &= ~bit;
      this.#doorways[thread] = undefined;
      this.#queue = this.#queue.filter((other) => other.thread !== thread);
    }
  }

  #watch(thread: number, doorway: readonly number[]): void {
    this.#doorways[thread] = doorway;
    runtime.watch(doorway, (writer) => {
      if (this.#doorways[writer] === undefined) return;
      this.#doorways[writer] = undefined;
      const most = (this.#queue.length + 1) * this.#bypass;
      this.#queue.push({ thread: writer, most, passed: 0 });
      runtime.observer?.lock(writer, "wanted");
      runtime.note(writer);
    });
  }

  #turn(thread: number): void {
    // Who has it without going through the doorway was passed it, where that may be.
    if (this.#bypass === 0 && !this.#queue.some((other) => other.thread === thread)) return;
    runtime.note(~thread);
    for (const other of this.#queue) {
      if (other.thread === thread) break;
      const inTurn = this.killed(other.thread) || ++other.passed <= other.most;
      const often = other.most === 0 ? "" : `, and is overtaken ${other.passed} times`;
      this.check(inTurn, `thread ${other.thread} came before${often}`);
    }
    this.#queue = this.#queue.filter((other) => other.thread !== thread);
  }
}
