import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import type { Wait, Waiter } from "../../lib/wait/waiter.ts";

/** A thread that exists in a test only. */
export class FakeWaiter implements Waiter {
  readonly id: number;
  readonly slot: number;
  readonly domain: number;
  /** How often it pauses before it would rather sleep. */
  spins = 0;
  /** Whether its next sleep ends at once. */
  permit = false;
  /** How often somebody woke it. */
  wakes = 0;
  /** How often it has paused. */
  pauses = 0;
  readonly #process: FakeProcess;

  /**
   * Not for tests: use {@linkcode FakeProcess.thread}.
   *
   * @param process Where.
   * @param id Its id.
   * @param slot Its slot.
   * @param domain Its L3 domain.
   */
  constructor(process: FakeProcess, id: number, slot: number, domain: number) {
    this.#process = process;
    this.id = id;
    this.slot = slot;
    this.domain = domain;
  }

  spin(round: number): boolean {
    this.pauses++;
    return round < this.spins;
  }

  unpark(id: number): void {
    this.#process.unpark(id);
  }

  alive(id: number): boolean {
    return this.#process.threads.has(id);
  }

  now(): number {
    return this.#process.time;
  }
}

/** Threads that are objects of one real thread. They do something when the test says so. */
export class FakeProcess {
  /** Milliseconds. */
  time = 0;
  /** Wake-ups, of anybody. */
  wakes = 0;
  /** The living, by id. */
  readonly threads: Map<number, FakeWaiter> = new Map();
  #last = 0;

  /**
   * Starts a thread.
   *
   * @param slot Its slot.
   * @param domain Its L3 domain.
   * @returns The thread, with an id that was never used.
   */
  thread(slot: number, domain = 0): FakeWaiter {
    const waiter = new FakeWaiter(this, ++this.#last, slot, domain);
    this.threads.set(waiter.id, waiter);
    return waiter;
  }

  /**
   * Ends a thread, whatever it is doing; wakes all others, as whoever launched it would.
   *
   * @param waiter The thread.
   */
  kill(waiter: FakeWaiter): void {
    this.threads.delete(waiter.id);
    for (const other of this.threads.values()) other.permit = true;
  }

  /**
   * Wakes a thread.
   *
   * @param id Its id.
   */
  unpark(id: number): void {
    this.wakes++;
    const waiter = this.threads.get(id);
    if (waiter === undefined) return;
    waiter.wakes++;
    waiter.permit = true;
  }
}

/** A wait that goes on when the test says so. */
export class FakeWait<Result> {
  /** What it ended with, once it has. */
  result: Result | undefined = undefined;
  /** How long it would sleep, as long as it waits. */
  sleepMs: number | undefined = undefined;
  /** When its sleep ends by itself. */
  until = Infinity;
  readonly #me: FakeWaiter;
  readonly #wait: Wait<Result>;

  /**
   * Goes as far as the first sleep.
   *
   * @param me Who waits.
   * @param wait The wait.
   */
  constructor(me: FakeWaiter, wait: Wait<Result>) {
    this.#me = me;
    this.#wait = wait;
    this.#go(false);
  }

  /** Whether it waits still. */
  get asleep(): boolean {
    return this.sleepMs !== undefined;
  }

  /**
   * Wakes up, and goes as far as the next sleep. Does nothing once the wait has ended.
   *
   * @param over Whether it has to give up.
   */
  step(over = false): void {
    if (this.asleep) this.#go(over);
  }

  #go(over: boolean): void {
    this.#me.permit = false;
    const step = this.#wait.next(over);
    this.sleepMs = step.done === true ? undefined : step.value;
    this.until = this.#me.now() + (this.sleepMs ?? 0);
    if (step.done === true) this.result = step.value;
  }

  /** Goes on for as long as somebody has woken it. */
  run(): void {
    while (this.asleep && this.#me.permit) this.step();
  }
}

/**
 * Acquires a lock as far as it goes.
 *
 * @param core The lock.
 * @param me Who.
 * @returns The wait for it; undefined when there is none, because `me` has it.
 */
export function acquire(core: LockCore, me: FakeWaiter): FakeWait<boolean> | undefined {
  return core.begin(me) ? undefined : new FakeWait(me, core.wait(me));
}
