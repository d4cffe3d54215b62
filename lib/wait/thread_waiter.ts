/**
 * The calling thread as locks see it.
 *
 * @module
 */
import { sameCopies } from "../base/copies.ts";
import { builtin } from "../runtime/builtin.ts";
import { readEnv } from "../runtime/env.ts";
import { NumaError } from "../base/error.ts";
import { threadAlive, threadSelf, threadYield } from "../runtime/thread.ts";
import { currentCpu } from "../topology/current.ts";
import { topology } from "../topology/load.ts";
import { ParkingLot, slotOf } from "./parking_lot.ts";
import { SPIN_THEN_PARK, SpinBudget, type WaitStrategy } from "./wait_strategy.ts";
import type { Waiter } from "./waiter.ts";

/** Spinning threads look at their stop word this often. */
const STOP_MASK = 15;

/** Lets the CPU do something else for some cycles. */
// Not every runtime's types have it yet, and Node 20 has not got it.
export const pause: () => void = (Atomics as { pause?: () => void }).pause?.bind(Atomics) ??
  (() => {});

/** A thread, or one of its waits that do not block, in a process's parking lot. */
export class ThreadWaiter implements Waiter {
  /** The process's lot. */
  readonly lot: ParkingLot;
  readonly id: number;
  readonly slot: number;
  readonly domain: number;
  readonly #budget: SpinBudget | undefined;
  #round = 0;

  /**
   * Not for callers: use {@linkcode currentWaiter}.
   *
   * @param lot The process's lot.
   * @param id An id that was claimed there.
   * @param domain The L3 domain of the thread.
   * @param budget How long it spins before it sleeps. Default: not at all.
   */
  constructor(lot: ParkingLot, id: number, domain: number, budget?: SpinBudget) {
    this.lot = lot;
    this.id = id;
    this.slot = slotOf(id);
    this.domain = domain;
    this.#budget = budget;
  }

  spin(round: number): boolean {
    const budget = this.#budget;
    if (budget === undefined) return false;
    if (round === 0) budget.begin(this.#round);
    this.#round = round;
    if (round >= budget.rounds) return false;
    if (round < budget.spins) {
      pause();
      if ((round & STOP_MASK) !== STOP_MASK) return true;
    } else threadYield();
    return !this.lot.stopped(this.id);
  }

  unpark(id: number): void {
    this.lot.unpark(id);
  }

  alive(id: number): boolean {
    return this.lot.alive(id);
  }

  now(): number {
    return performance.now();
  }
}

/** What this thread knows of itself. */
interface Self {
  readonly waiter: ThreadWaiter;
  /** L3 domains of the machine. */
  readonly domains: number;
  /** CPUs' worth of time that the process may use. */
  readonly cpus: number;
  /** Whether the C helper can tell which threads live. */
  readonly native: boolean;
}

let lot: ParkingLot | undefined;
let self: Self | undefined;

/**
 * The process's parking lot.
 *
 * @returns The one that this thread was given, or a new one: then this thread has to be the first that waits.
 */
export function parkingLot(): ParkingLot {
  if (lot === undefined) {
    const same = sameCopies();
    lot = same.lot === undefined ? ParkingLot.create() : ParkingLot.from(same.lot, "wait");
    same.lot = lot.buffer;
  }
  return lot;
}

/**
 * Takes part in another thread's parking lot.
 *
 * @param buffer Its buffer.
 * @param action What was asked, as it follows "Cannot".
 * @param id The id that the other thread claimed for this one, if it did.
 * @throws {NumaError} `EINVAL` when it is none, or when this thread has waited in another one before.
 */
export function joinLot(buffer: unknown, action: string, id = 0): void {
  const other = ParkingLot.from(buffer, action);
  const same = sameCopies();
  if (same.lot === undefined) {
    lot = other;
    same.lot = other.buffer;
    if (id !== 0) same.id = id;
  } else if (parkingLot().stamp !== other.stamp) {
    throw new NumaError("EINVAL", action, {
      why: "it comes from threads that this one cannot wake",
      fix: "Start threads with launch(), or attach what other threads sent before making locks.",
    });
  }
}

/** How many L3 domains there are, and which one this thread is in; one, where nobody knows. */
function locate(slot: number): { domain: number; domains: number; cpus: number; native: boolean } {
  const faked = Number(readEnv("NUMAKIT_FAKE_DOMAINS"));
  try {
    const machine = topology();
    const cpus = machine.effectiveCpus;
    if (faked >= 1) return { domain: slot % faked, domains: faked, cpus, native: true };
    const domains = Math.max(1, machine.domains.length);
    return { domain: Math.max(0, machine.domainOfCpu(currentCpu())), domains, cpus, native: true };
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    // Locks also work where the helper does not: domains are about speed alone.
    const domains = faked >= 1 ? faked : 1;
    return { domain: slot % domains, domains, cpus: 2, native: false };
  }
}

function meet(): Self {
  const lot = parkingLot();
  // Other copies of numakit in this thread are the same thread to everybody.
  const id = sameCopies().id ??= lot.claim();
  const { domain, domains, cpus, native } = locate(slotOf(id));
  if (native) lot.setIdentity(id, threadSelf().identity);
  return { waiter: new ThreadWaiter(lot, id, domain), domains, cpus, native };
}

/**
 * The calling thread.
 *
 * @returns The same object for the rest of the thread's life. It never spins.
 * @throws {NumaError} `EAGAIN` when there are too many threads.
 */
export function currentWaiter(): ThreadWaiter {
  return (self ??= meet()).waiter;
}

/**
 * The calling thread as one lock sees it, whose holds it gets to know.
 *
 * @param strategy What it does before it sleeps.
 * @returns A waiter with the id of {@linkcode currentWaiter}.
 * @throws {NumaError} `EAGAIN` when there are too many threads.
 */
export function lockWaiter(strategy: WaitStrategy = SPIN_THEN_PARK): ThreadWaiter {
  const { waiter: { lot, id, domain }, cpus, native } = self ??= meet();
  // With one CPU whoever is waited for cannot run meanwhile.
  const most = cpus > 1 ? strategy : { ...strategy, spins: 0 };
  return new ThreadWaiter(lot, id, domain, new SpinBudget(most, native));
}

/**
 * How many L3 domains threads can be in.
 *
 * @returns At least 1. `NUMAKIT_FAKE_DOMAINS` sets it for tests; threads are then dealt to them by their slots.
 */
export function domainCount(): number {
  return (self ??= meet()).domains;
}

/**
 * A waiter for one wait that does not block. Release its id in the lot afterwards.
 *
 * @returns The waiter. It dies with this thread, and never spins.
 * @throws {NumaError} `EAGAIN` when there are too many.
 */
export function claimWaiter(): ThreadWaiter {
  const { lot, id, domain } = currentWaiter();
  return new ThreadWaiter(lot, lot.claim(id), domain);
}

/** Looks for threads that have ended without anybody's telling, where the C helper knows. */
export function reap(): void {
  if (self?.native === true) self.waiter.lot.reap(threadAlive);
}

let main: boolean | undefined;

/**
 * Whether this is the process's first thread, which should not be blocked.
 *
 * @returns Whether it is.
 */
export function isMainThread(): boolean {
  return main ??= builtin("node:worker_threads").isMainThread;
}
