import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { HostProgress, watchLife } from "../../scripts/lib/host_progress.ts";
import { cpuMsOf } from "../../scripts/lib/proc.ts";

/** Runs a script of the shell, which ends at the latest when its input does. */
function shell(script: string): ChildProcess & { readonly pid: number } {
  const child = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  return child as typeof child & { readonly pid: number };
}

async function says({ stdout }: ChildProcess, line: string): Promise<void> {
  assert.ok(stdout);
  assert.equal(String((await once(stdout, "data"))[0]), `${line}\n`);
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, "close");
  child.stdin?.end();
  await ended;
}

describe("the CPU time of a command", () => {
  it("has that of its children in it, and of those that have ended", async () => {
    // Children burn some ticks of 10 ms each, of which one has to show. The first one ends then, the second one waits.
    const burn = "i=0; while [ $i -lt 60000 ]; do i=$((i+1)); done";
    const child = shell(`(${burn}); echo ended; read go; (${burn}; echo burnt; read end); exit`);
    await says(child, "ended");
    const ended = cpuMsOf(child.pid);
    assert.ok(ended >= 10, `${ended} ms of one that has ended`);
    child.stdin?.write("go\n");
    await says(child, "burnt");
    const both = cpuMsOf(child.pid);
    assert.ok(both >= ended + 10, `${both} ms, of which ${ended} ms are of one that has ended`);
    await end(child);
    assert.equal(cpuMsOf(child.pid), 0);
  });

  it("has nothing of others in it", async () => {
    const child = shell("echo here; read end");
    await says(child, "here");
    assert.ok(cpuMsOf(child.pid) < 100);
    await end(child);
  });
});

describe("a command on the host", () => {
  const STILL_MS = 60_000;

  /** The millisecond at which it is stuck; Infinity when it never is. */
  function stuckAfter(cpuMsAt: (now: number) => number): number {
    const progress = new HostProgress(0, STILL_MS);
    for (let now = 5000; now < 100 * STILL_MS; now += 5000) {
      if (progress.isStuckAt(now, cpuMsAt(now))) return now;
    }
    return Infinity;
  }

  it("is stuck when it is still for longer than it may be", () => {
    assert.equal(stuckAfter(() => 0), STILL_MS + 5000);
    assert.equal(stuckAfter((now) => Math.min(now, 20_000)), 20_000 + STILL_MS + 5000);
  });

  it("is stuck when it only looks at a word now and then", () => {
    assert.equal(stuckAfter((now) => now / 1000), STILL_MS + 5000);
  });

  it("is not stuck while it uses a CPU, however little it gets of it", () => {
    assert.equal(stuckAfter((now) => now), Infinity);
    assert.equal(stuckAfter((now) => now / 500), Infinity);
  });

  it("is not stuck when processes of it end", () => {
    assert.equal(stuckAfter((now) => now % 50_000 === 0 ? 0 : 200), Infinity);
  });

  it("is called stuck once when it sleeps", async () => {
    const child = shell("read end");
    const stuck: number[] = [];
    await new Promise<void>((resolve) => {
      watchLife(child.pid, (seconds) => {
        stuck.push(seconds);
        setTimeout(resolve, 500);
      }, 100);
    });
    assert.deepEqual(stuck, [0]);
    await end(child);
  });

  it("is not watched any longer when the watch has ended", async () => {
    const child = shell("read end");
    const endWatch = watchLife(child.pid, () => assert.fail("it is watched"), 100);
    endWatch();
    await new Promise((resolve) => setTimeout(resolve, 300));
    await end(child);
  });
});
