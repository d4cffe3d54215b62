import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandProgress, GuestLife } from "../../scripts/lib/guest_progress.ts";

const BEAT_S = 5;
const LIMIT_S = 60;

/** Beats of a command, from its first to the one at which it is stuck; Infinity when it never is. */
function stuckAfter(
  progress: CommandProgress,
  beatAt: (second: number) => { ticks: number; runs: boolean },
): number {
  for (let uptime_s = 0; uptime_s < 100 * LIMIT_S; uptime_s += BEAT_S) {
    if (progress.isStuckAt({ uptime_s, ...beatAt(uptime_s) })) return uptime_s;
  }
  return Infinity;
}

describe("a command in a guest", () => {
  it("is stuck when all of it sleeps", () => {
    const sleeping = () => ({ ticks: 7, runs: false });
    assert.equal(stuckAfter(new CommandProgress(LIMIT_S), sleeping), LIMIT_S);
    assert.equal(stuckAfter(new CommandProgress(0), sleeping), Infinity);
  });

  it("is stuck when it only looks at a word now and then", () => {
    const polling = (second: number) => ({ ticks: 2 * second, runs: second % 50 === 0 });
    assert.equal(stuckAfter(new CommandProgress(LIMIT_S), polling), LIMIT_S);
  });

  it("is not stuck when it computes, however little of a CPU it gets", () => {
    const slow = (second: number) => ({ ticks: Math.floor(second / 10), runs: true });
    assert.equal(stuckAfter(new CommandProgress(LIMIT_S), slow), Infinity);
    const seldomSeen = (second: number) => ({ ticks: 6 * second, runs: false });
    assert.equal(stuckAfter(new CommandProgress(LIMIT_S), seldomSeen), Infinity);
  });

  it("is not stuck when threads of it end", () => {
    const ending = (second: number) => ({ ticks: second % 30 === 0 ? 0 : 3, runs: false });
    assert.equal(stuckAfter(new CommandProgress(LIMIT_S), ending), Infinity);
  });

  it("is not stuck while it writes", () => {
    const progress = new CommandProgress(LIMIT_S);
    const writing = (second: number) => {
      if (second < 600 && second % 50 === 0) progress.wrote();
      return { ticks: 7, runs: false };
    };
    assert.equal(stuckAfter(progress, writing), 550 + LIMIT_S);
  });
});

describe("a guest", () => {
  const limits = { idle_s: 40, cpu_s: 100 };

  /** The second at which it is dead; Infinity when it lives on. */
  function deadAfter(hadAt: (second: number) => { cpu_s: number; waited_s: number }): number {
    const life = new GuestLife(0);
    for (let second = 2; second < 3000; second += 2) {
      if (life.deathAt(second, hadAt(second), limits) !== undefined) return second;
    }
    return Infinity;
  }

  it("is dead when its CPUs sleep", () => {
    assert.equal(deadAfter((second) => ({ cpu_s: second / 50, waited_s: 0 })), 40);
  });

  it("is dead when its CPUs spin", () => {
    assert.equal(deadAfter((second) => ({ cpu_s: 2 * second, waited_s: 0 })), 52);
  });

  it("lives while the host gives it little", () => {
    const starved = (second: number) => ({ cpu_s: second / 50, waited_s: second * 0.98 });
    assert.equal(deadAfter(starved), Infinity);
  });

  it("lives as long as it tells something, and a host that slept is no reason", () => {
    const life = new GuestLife(0);
    for (let second = 30; second < 3000; second += 30) {
      assert.equal(life.deathAt(second, { cpu_s: 3 * second, waited_s: 0 }, limits), undefined);
      life.told();
    }
    assert.equal(life.deathAt(30_000, { cpu_s: 9000, waited_s: 0 }, limits), undefined);
  });
});
