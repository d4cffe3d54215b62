import { ID_MASK, type Waiter } from "../../lib/wait/waiter.ts";

/** Threads that are numbers: who was woken, and who is dead, is up to the test. */
export class Crew {
  readonly woken: number[] = [];
  readonly dead: Set<number> = new Set();

  /** The largest ids, so that flags that overlap them would show. */
  id(slot: number): number {
    return ID_MASK - slot;
  }

  member(slot: number, id: number = this.id(slot)): Waiter {
    return {
      id,
      slot,
      domain: slot % 2,
      spin: () => false,
      unpark: (id) => void this.woken.push(id),
      alive: (id) => !this.dead.has(id),
      now: () => 0,
    };
  }
}
