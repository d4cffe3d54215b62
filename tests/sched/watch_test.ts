import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  launch,
  MachineWatch,
  Policy,
  syntheticTopology,
  type Topology,
  topology,
  watchMachine,
} from "../../mod.ts";
import { differences, lookAtMachine } from "../../lib/topology/look.ts";
import { checkoutFile, runModule, sibling } from "../support/checkout.ts";
import { NarrowCpuset } from "../support/cpuset.ts";
import { throwsCode } from "../support/errors.ts";
import { Quota } from "../support/quota.ts";
import { sharedWords } from "../support/words.ts";
import { WORD } from "../workers/movable.ts";

const { allowedCpus } = topology();
const oneCpu = allowedCpus.size < 2 && "there is one CPU only";

/** Why something cannot be set here: false where it can. */
function whyNot(made: Disposable | string): string | false {
  if (typeof made === "string") return made;
  made[Symbol.dispose]();
  return false;
}

/** A machine that changes when it is told to. */
function changing() {
  const machines = [2, 4, 1].map((cores) => syntheticTopology(`pack:1 core:${cores} pu:1`));
  const state = { look: "affinity 0\n", fails: false, loads: -1 };
  const source = {
    look(): string {
      if (state.fails) throw new Error("no look");
      return state.look;
    },
    known: (): Topology => machines[state.loads] as Topology,
    load: (): Topology => machines[++state.loads] as Topology,
  };
  return { machines, state, source };
}

describe("looks at a machine", () => {
  it("say what the kernel's files say", () => {
    const root = checkoutFile("native/tests/fixtures/look");
    const look = lookAtMachine(root);
    assert.equal(
      look,
      "affinity 2-3\nmemory 0\ncpus 0-7\nnodes 0-1\ncpuset 2-3\nquota 150000 100000\n",
    );
    assert.match(lookAtMachine(), /^affinity [\d,-]+\nmemory /);
    assert.equal(lookAtMachine(), lookAtMachine());
    throwsCode(() => lookAtMachine("x".repeat(5000)), "ENOSYS");
  });

  it("differ where something has changed", () => {
    assert.deepEqual(differences("affinity 0\ncpus 0-1\n", "affinity 0\ncpus 0-1\n"), []);
    assert.deepEqual(differences("affinity 0-1\ncpus 0-1\n", "affinity 0\ncpus 0-1\nquota 1 2\n"), [
      ...["affinity", "quota"],
    ]);
    assert.deepEqual(differences("cpuset 0\nnodes 0\n", ""), ["cpuset", "nodes"]);
  });
});

describe("MachineWatch", () => {
  it("tells of a change once, with the machine before and after", async () => {
    const { machines, state, source } = changing();
    using watch = new MachineWatch({ intervalMs: 2 ** 31 - 1 }, source);
    const changes: unknown[] = [];
    const listener = (change: unknown): void => void changes.push(change);
    assert.equal(watch.on("change", listener).on("change", listener), watch);
    assert.equal(await watch.check(), undefined);
    state.look = "affinity 0-1\n";
    const [change, same] = await Promise.all([watch.check(), watch.check()]);
    assert.equal(change, same, "there is one check at a time");
    const [before, after] = machines;
    assert.deepEqual(change, { what: ["affinity"], before, after, threads: [] });
    assert.equal(await watch.check(), undefined);
    assert.deepEqual(changes, [change]);
    watch.off("change", listener);
    state.look = "quota 1 2\n";
    assert.deepEqual((await watch.check())?.what, ["affinity", "quota"]);
    assert.equal(changes.length, 1);
    watch.stop();
    watch.stop();
    state.look = "quota 2 2\n";
    assert.deepEqual([watch.stopped, await watch.check(), state.loads], [true, undefined, 2]);
    throwsCode(() => watch.on("end" as never, listener), "EINVAL", /"change" or "error"/);
    throwsCode(() => watch.on("change", 5 as never), "EINVAL");
    throwsCode(() => watch.off("error", {} as never), "EINVAL");
  });

  it("tells of nothing when it was stopped in the middle of a check", async () => {
    const { state, source } = changing();
    using watch = new MachineWatch({ intervalMs: 2 ** 31 - 1, replan: true }, source);
    let told = 0;
    watch.on("change", () => told++);
    state.look = "affinity 0-1\n";
    const check = watch.check();
    watch.stop();
    assert.deepEqual((await check)?.what, ["affinity"]);
    assert.equal(told, 0);
  });

  it("tells of looks that fail, and goes on", async () => {
    const { state, source } = changing();
    using watch = new MachineWatch({ intervalMs: 1 }, source);
    // The watch does not keep the process alive.
    const alive = setInterval(() => {}, 1000);
    state.fails = true;
    const error = await new Promise((resolve) => watch.on("error", resolve));
    assert.equal(`${error}`, "Error: no look");
    const changed = new Promise((resolve) => watch.on("change", resolve));
    [state.look, state.fails] = ["cpus 0\n", false];
    await changed;
    clearInterval(alive);
  });

  it("puts threads in the places that they have by then", async () => {
    const { state, source } = changing();
    const [known, load] = [() => topology(), () => topology()];
    using watch = new MachineWatch({ intervalMs: 2 ** 31 - 1, replan: true }, {
      ...{ look: source.look, known, load },
    });
    const words = sharedWords(4);
    const module = sibling(import.meta.url, "../workers/movable");
    const args = { task: "idle", words };
    const thread = launch(module, { policy: Policy.compact(), args });
    const unbound = launch(module, { args });
    const ended = launch(module, { policy: Policy.compact(), args: { task: "value", value: 1 } });
    await Promise.all([thread.ready, ended.join()]);
    const move = thread.migrate(Policy.scatter());
    state.look = "cpus 0\n";
    const change = await watch.check();
    assert.equal((await move).to, change?.threads[0]?.report?.from);
    assert.deepEqual(change?.threads.map((one) => [one.thread === thread, one.error]), [
      ...[[true, undefined]],
    ]);
    assert.deepEqual([thread.policy.kind, thread.place], ["scatter", 0]);
    Atomics.store(words, WORD.stop, 1);
    await Promise.all([thread.join(), unbound.join()]);
    state.look = "cpus 1\n";
    assert.deepEqual((await watch.check())?.threads, []);
  });

  it("is stopped by its signal", async () => {
    const { source } = changing();
    const controller = new AbortController();
    const watch = new MachineWatch({ signal: controller.signal }, source);
    assert.equal(watch.stopped, false);
    controller.abort();
    assert.equal(watch.stopped, true);
    assert.equal(new MachineWatch({ signal: AbortSignal.abort() }, source).stopped, true);
    await sleep(1);
  });

  it("refuses what cannot be", () => {
    for (
      const options of [
        ...[null, 5, "x", { what: 1 }, { intervalMs: 0 }, { intervalMs: NaN }, { signal: 5 }],
        ...[{ intervalMs: -0 }, { intervalMs: 2 ** 53 }, { replan: "yes" }],
      ]
    ) throwsCode(() => watchMachine(options as never), "EINVAL");
  });
});

describe("watchMachine", () => {
  const skips = {
    affinity: oneCpu,
    cpuset: oneCpu || whyNot(NarrowCpuset.set(String(allowedCpus.first))),
    quota: whyNot(Quota.set(0.5)),
  };
  for (const [way, skip] of Object.entries(skips)) {
    it(`notices another ${way}, and puts threads in their places`, { skip }, () => {
      const ran = runModule(sibling(import.meta.url, "../modules/watched"), { args: [way] });
      assert.equal(ran.status, 0, ran.stderr);
      const [said, ended] = ran.stdout.split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(said.errors, []);
      assert.equal(said.what.length, 2, ran.stdout);
      for (const what of said.what) assert.ok(what.includes(way), ran.stdout);
      const most = topology().effectiveCpus;
      assert.deepEqual(said.effective, [[most, 1], [1, most]]);
      assert.equal(said.isCurrent, true);
      assert.deepEqual(said.counts, [2, 2]);
      for (const [is, ought] of said.seen) assert.equal(is, ought);
      assert.deepEqual(ended, { allowed: allowedCpus.toString(), stopped: false });
    });
  }
});
