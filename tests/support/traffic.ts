import assert from "node:assert/strict";
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import { acquire, FakeProcess, type FakeWait, type FakeWaiter } from "./waiters.ts";

/** How many threads want a lock again and again, in how many domains. */
export interface TrafficOptions {
  readonly threads: number;
  readonly domains: number;
  /** Acquisitions. */
  readonly turns: number;
  /** How long each holds the lock. */
  readonly holdMs?: number;
}

/** What came of it. */
export interface Traffic {
  /** The share of acquisitions by a thread of another domain than the one before. */
  readonly across: number;
  /** The most acquisitions by threads that came later than one that waited. */
  readonly longestBypass: number;
}

/** Lets threads that exist in a test only take a lock over and over, always the same way. */
export function traffic(
  core: LockCore,
  { threads, domains, turns, holdMs = 0 }: TrafficOptions,
): Traffic {
  const process = new FakeProcess();
  let seed = 12345;
  const below = (limit: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % limit;
  };
  const all = Array.from({ length: threads }, (_, slot) => process.thread(slot, slot % domains));
  const waits: (FakeWait<boolean> | undefined)[] = all.map((me) => acquire(core, me));
  const arrival = all.map((_, index) => index);
  let arrivals = threads;
  const overtaken = all.map(() => 0);
  let [across, longestBypass] = [0, 0];
  let owner = 0;
  /** Those that have released, and come back a little later, in any order. */
  const away: number[] = [];
  for (let turn = 0; turn < turns; turn++) {
    process.time += holdMs;
    for (const wait of waits) if (wait?.asleep === true && wait.until <= process.time) wait.step();
    core.release(all[owner] as FakeWaiter);
    away.push(owner);
    for (const wait of waits) wait?.run();
    const next = all.findIndex((me) => core.holds(me));
    assert.ok(next >= 0, "somebody has it");
    if (all[next]?.domain !== all[owner]?.domain) across++;
    for (const [index, wait] of waits.entries()) {
      if (index === next || wait?.asleep !== true) continue;
      if ((arrival[index] as number) > (arrival[next] as number)) continue;
      longestBypass = Math.max(longestBypass, ++(overtaken[index] as number));
    }
    waits[next] = undefined;
    overtaken[next] = 0;
    owner = next;
    while (away.length > 3) {
      const [index] = away.splice(below(away.length), 1) as [number];
      arrival[index] = arrivals++;
      waits[index] = acquire(core, all[index] as FakeWaiter);
    }
  }
  return { across: across / turns, longestBypass };
}
