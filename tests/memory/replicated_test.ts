import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, type Handle, launch, type Thread } from "../../mod.ts";
import { threadSelf } from "../../lib/runtime/thread.ts";
import { ReplicaSnapshot } from "../../lib/memory/spread/replica_snapshot.ts";
import { Replicated, type ReplicatedOptions } from "../../lib/memory/spread/replicated.ts";
import { sibling } from "../support/checkout.ts";
import { arenasOf } from "../support/copies.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { liveMappings } from "../support/mappings.ts";
import { reaches } from "../support/words.ts";
import type { ReaderReport, Task } from "../workers/replicated.ts";

const module = sibling(import.meta.url, "../workers/replicated");

function run<Result>(args: Task): Thread<Result> {
  return launch<Result>(module, { args });
}

const newControl = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(8));

const ints = (bytes: Uint8Array): Int32Array =>
  new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const fillWithVersion = (next: Uint8Array, version: number): void => void ints(next).fill(version);
const isWhole = (bytes: Uint8Array, version: number): boolean =>
  ints(bytes).every((element) => element === version);

describe("Replicated.create", () => {
  it("begins with zeros, or with the data given, at version 0", () => {
    using zeros = Replicated.create({ size: "5 KiB" });
    assert.equal(zeros.size, 5120);
    assert.equal(zeros.version, 0);
    assert.equal(zeros.read((bytes) => bytes.length), 5120);
    assert.equal(zeros.read((bytes) => bytes.every((byte) => byte === 0)), true);
    for (const data of [Uint8Array.of(1, 2, 3), new DataView(Uint8Array.of(1, 2, 3).buffer)]) {
      using given = Replicated.create({ data });
      assert.deepEqual(given.read((bytes) => [...bytes]), [1, 2, 3]);
    }
  });

  it("has every page of every copy on its node", () => {
    using replicated = Replicated.create({ size: "1 MiB", nodes: [0] });
    assert.deepEqual(replicated.nodes, [0]);
    for (const [node, { nodes, pages, absent }] of replicated.residency()) {
      assert.deepEqual([[...nodes], absent], [[[node, pages]], 0]);
      assert.ok(pages >= 512, "two versions of 1 MiB");
    }
  });

  it("refuses what cannot be", () => {
    const live = liveMappings();
    const wrong: unknown[] = [
      null,
      undefined,
      1,
      {},
      { size: 0 },
      { size: -1 },
      { size: 1.5 },
      { size: "much" },
      { size: 2 ** 50 },
      { size: 1, data: new Uint8Array(1) },
      { data: new Uint8Array(0) },
      { data: [1, 2] },
      { data: new ArrayBuffer(8) },
      { data: null },
      { size: 1, nodes: [] },
      { size: 1, nodes: 0 },
      { size: 1, nodes: [0, 0] },
      { size: 1, nodes: [-1] },
      { size: 1, nodes: ["0"] },
      { size: 1, pages: "3m" },
      { size: 1, threads: 0 },
      { size: 1, threads: 65_536 },
      { size: 1, threads: NaN },
    ];
    for (const options of wrong) {
      throwsCode(() => Replicated.create(options as ReplicatedOptions), "EINVAL");
    }
    throwsCode(() => Replicated.create({ size: 1, nodes: [0, 900] }), "ENODEV");
    assert.equal(liveMappings(), live, "none or all");
  });
});

describe("replicated.read", () => {
  it("gives what the function returns, and passes on what it throws", () => {
    using replicated = Replicated.create({ size: 8 });
    assert.equal(replicated.read((bytes, version) => `${bytes.length} ${version}`), "8 0");
    assert.throws(
      () =>
        replicated.read(() => {
          throw new RangeError("mine");
        }),
      { name: "RangeError", message: "mine" },
    );
    // Nothing is held after it.
    for (let round = 0; round < 4; round++) replicated.update(fillWithVersion, { timeoutMs: 0 });
  });

  it("keeps its version while updates are made inside, and nests", () => {
    using replicated = Replicated.create({ size: 4096 });
    replicated.read((outer) => {
      assert.equal(replicated.update(fillWithVersion), 1);
      assert.equal(isWhole(outer, 0), true);
      replicated.read((inner, version) => {
        assert.equal(version, 1);
        assert.equal(isWhole(inner, 1), true);
        throwsCode(() => replicated.update(fillWithVersion), "EDEADLK", /this thread still reads/);
      });
      throwsCode(() => replicated.update(fillWithVersion), "EDEADLK", /this thread still reads/);
      assert.equal(isWhole(outer, 0), true);
    });
    assert.equal(replicated.update(fillWithVersion), 2);
  });

  it("refuses functions that are none, or go on later", async () => {
    using replicated = Replicated.create({ size: 8 });
    for (const fn of [undefined, null, 1, "x", {}]) {
      throwsCode(() => replicated.read(fn as never), "EINVAL");
    }
    const later = async (): Promise<never> => {
      await sleep(1);
      throw new Error("nobody hears this");
    };
    throwsCode(() => replicated.read(later), "EINVAL", /local\(\)/);
    throwsCode(() => replicated.update(later as never), "EINVAL");
    await sleep(5);
    assert.equal(replicated.version, 0);
  });
});

describe("replicated.local", () => {
  it("keeps a version until it is released", () => {
    using replicated = Replicated.create({ size: 4096 });
    const snapshot = replicated.local();
    assert.ok(snapshot instanceof ReplicaSnapshot);
    assert.deepEqual([snapshot.version, replicated.nodes.includes(snapshot.node)], [0, true]);
    replicated.update(fillWithVersion);
    assert.equal(isWhole(snapshot.bytes, 0), true);
    throwsCode(() => replicated.update(fillWithVersion), "EDEADLK", /Release snapshots/);
    assert.match(String(snapshot), /version 0 on node 0\)/);
    snapshot.release();
    snapshot[Symbol.dispose]();
    assert.match(String(snapshot), /released/);
    assert.equal(replicated.update(fillWithVersion), 2);
    {
      using first = replicated.local();
      using second = replicated.local();
      assert.deepEqual([first.version, second.version], [2, 2]);
    }
    for (let version = 3; version < 8; version++) {
      assert.equal(replicated.update(fillWithVersion, { timeoutMs: 0 }), version);
    }
  });
});

describe("replicated.update", () => {
  it("publishes bytes, and what a function makes of the version before", () => {
    using replicated = Replicated.create({ data: Uint8Array.of(1, 2, 3, 4) });
    assert.equal(replicated.update(Uint8Array.of(5, 6, 7, 8)), 1);
    assert.equal(
      replicated.update((next, version) => {
        assert.deepEqual([[...next], version], [[5, 6, 7, 8], 2]);
        assert.deepEqual(replicated.read((bytes, version) => [...bytes, version]), [5, 6, 7, 8, 1]);
        next[0] = 9;
      }),
      2,
    );
    assert.deepEqual(replicated.read((bytes) => [...bytes]), [9, 6, 7, 8]);
    assert.equal(replicated.update(new Float32Array([0])), 3);
    assert.equal(replicated.read((bytes) => ints(bytes)[0]), 0);
  });

  it("publishes nothing when the function throws", () => {
    using replicated = Replicated.create({ data: Uint8Array.of(1, 2) });
    for (let round = 0; round < 3; round++) {
      const spoil = (next: Uint8Array): void => {
        next.fill(99);
        throw new RangeError("mine");
      };
      assert.throws(() => replicated.update(spoil), { name: "RangeError" });
      assert.deepEqual(replicated.read((bytes, version) => [...bytes, version]), [1, 2, 0]);
    }
    assert.equal(replicated.update((next) => next.reverse() && undefined), 1);
    assert.deepEqual(replicated.read((bytes) => [...bytes]), [2, 1]);
  });

  it("is not made inside another one", () => {
    using replicated = Replicated.create({ size: 8 });
    replicated.update(() => {
      throwsCode(() => replicated.update(new Uint8Array(8)), "EDEADLK", /this thread is updating/);
    });
    assert.equal(replicated.version, 1);
  });

  it("refuses what cannot be", async () => {
    using replicated = Replicated.create({ size: 8 });
    const wrong = [undefined, null, 1, "12345678", {}, [1], new ArrayBuffer(8), new Uint8Array(7)];
    for (const source of [...wrong, new Uint8Array(9), new Uint8Array(0), new Float64Array(2)]) {
      throwsCode(() => replicated.update(source as never), "EINVAL");
      await rejectsCode(replicated.updateAsync(source as never), "EINVAL");
    }
    const bytes = new Uint8Array(8);
    for (const timeoutMs of [-1, 0.5, NaN, Infinity, 2 ** 31, "1", null, {}]) {
      throwsCode(() => replicated.update(bytes, { timeoutMs: timeoutMs as number }), "EINVAL");
      await rejectsCode(
        replicated.updateAsync(bytes, { timeoutMs: timeoutMs as number }),
        "EINVAL",
      );
    }
    throwsCode(() => replicated.update(bytes, null as never), "EINVAL");
    throwsCode(() => replicated.update(bytes, { block: 1 } as never), "EINVAL");
    await rejectsCode(replicated.updateAsync(bytes, { signal: {} as AbortSignal }), "EINVAL");
    assert.equal(replicated.version, 0);
  });

  it("refuses bytes that went away while it waited", async () => {
    using replicated = Replicated.create({ size: 8 });
    const snapshot = replicated.local();
    replicated.update(new Uint8Array(8));
    const bytes = new Uint8Array(8);
    const update = replicated.updateAsync(bytes);
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    snapshot.release();
    await rejectsCode(update, "EINVAL", /0 new bytes for 8/);
    assert.equal(replicated.version, 1);
  });
});

describe("replicated.updateAsync", () => {
  it("waits without blocking until what is in its way is gone", async () => {
    using replicated = Replicated.create({ size: 4096 });
    const snapshot = replicated.local();
    assert.equal(await replicated.updateAsync(fillWithVersion), 1);
    const update = replicated.updateAsync(fillWithVersion);
    await sleep(20);
    assert.equal(replicated.version, 1);
    assert.equal(isWhole(snapshot.bytes, 0), true);
    snapshot.release();
    assert.equal(await update, 2);
  });

  it("waits as often as one likes in one thread, first come, first served", async () => {
    using replicated = Replicated.create({ size: 8 });
    const snapshot = replicated.local();
    replicated.update(new Uint8Array(8));
    const updates = Array.from({ length: 100 }, () => replicated.updateAsync(new Uint8Array(8)));
    await sleep(20);
    assert.equal(replicated.version, 1);
    snapshot.release();
    assert.deepEqual(await Promise.all(updates), updates.map((_, index) => index + 2), "in order");
  });

  it("ends its wait by timeout and by signal", async () => {
    using replicated = Replicated.create({ size: 8 });
    using _snapshot = replicated.local();
    replicated.update(new Uint8Array(8));
    await rejectsCode(
      replicated.updateAsync(new Uint8Array(8), { timeoutMs: 5 }),
      "ETIMEDOUT",
      /this thread still reads the version before .* on node \d+, and 5 ms have passed/,
    );
    const controller = new AbortController();
    const update = replicated.updateAsync(new Uint8Array(8), { signal: controller.signal });
    await rejectsCode(
      replicated.updateAsync(new Uint8Array(8), { timeoutMs: 5 }),
      "ETIMEDOUT",
      /this thread's updates before it wait, and 5 ms have passed/,
    );
    const reason = new Error("enough");
    setTimeout(() => controller.abort(reason), 5);
    await assert.rejects(update, reason);
    await assert.rejects(
      replicated.updateAsync(new Uint8Array(8), { signal: AbortSignal.abort(reason) }),
      reason,
    );
    assert.equal(replicated.version, 1);
  });
});

describe("replicated.destroy", () => {
  it("empties every view and throws for every use", async () => {
    const live = liveMappings();
    const replicated = Replicated.create({ size: 64 });
    const snapshot = replicated.local();
    replicated.destroy();
    replicated.destroy();
    replicated[Symbol.dispose]();
    assert.equal(replicated.destroyed, true);
    assert.equal(snapshot.bytes.length, 0);
    snapshot.release();
    const uses = [
      () => replicated.read(() => 1),
      () => replicated.local(),
      () => replicated.version,
      () => replicated.update(new Uint8Array(64)),
      () => replicated.residency(),
      () => replicated.toHandle(),
    ];
    for (const use of uses) throwsCode(use, "EDESTROYED");
    await rejectsCode(replicated.updateAsync(new Uint8Array(64)), "EDESTROYED");
    assert.match(String(replicated), /64 B on nodes 0.*destroyed/);
    assert.equal(liveMappings(), live);
  });

  it("ends a read and an update that it comes in the middle of", () => {
    const read = Replicated.create({ size: 64 });
    assert.equal(read.read((bytes) => (read.destroy(), bytes.length)), 0);
    const update = Replicated.create({ size: 64 });
    throwsCode(() => update.update(() => update.destroy()), "EDESTROYED");
  });

  it("leaves an update's lock to other threads", async () => {
    const replicated = Replicated.create({ size: 64 });
    const control = newControl();
    const reader = run<ReaderReport>({ task: "read", replicated, control });
    await reaches(control, 0, 1);
    const handle = replicated.toHandle();
    throwsCode(() => replicated.update(() => replicated.destroy()), "EDESTROYED");
    using again = Replicated.fromHandle(handle);
    assert.notEqual(again, replicated);
    assert.equal(again.update(fillWithVersion), 1);
    Atomics.store(control, 1, 1);
    assert.equal((await reader.join()).torn, 0);
  });
});

describe("replicated handles", () => {
  it("give the same object in one thread, and arrive alive in others", async () => {
    using replicated = Replicated.create({ size: 64 });
    const handle = replicated.toHandle();
    assert.equal(Replicated.fromHandle(structuredClone(handle)), replicated);
    assert.equal(
      await run({ task: "identity", replicated, handle: JSON.stringify(handle) }).join(),
      true,
    );
    replicated.update(fillWithVersion);
    assert.equal(await run({ task: "attach", handle: JSON.stringify(handle) }).join(), 1);
  });

  it("are refused to a thread that there is no room for", async () => {
    const threads = threadSelf().slot + 1;
    using replicated = Replicated.create({ size: 64, threads });
    await rejectsCode(
      run({ task: "attach", replicated }).join(),
      "EAGAIN",
      /this thread is number \d+ and there is room for \d+\. .*threads/,
    );
    if (threads > 1) {
      throwsCode(() => Replicated.create({ size: 64, threads: threads - 1 }), "EAGAIN");
    }
  });

  it("are refused when stale or forged", () => {
    using replicated = Replicated.create({ size: 8192 });
    using other = Replicated.create({ size: 8192 });
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const handle = replicated.toHandle();
    const data = handle.data as { copies: Handle[]; size: number; threads: number };
    const foreign = other.toHandle().data as typeof data;
    const wrong: unknown[] = [
      null,
      { ...data, size: 8191 },
      { ...data, size: 2 ** 30 },
      { ...data, size: -1 },
      { ...data, size: "8192" },
      { ...data, threads: 255 },
      { ...data, threads: 65_535 },
      { ...data, threads: 1e9 },
      { ...data, copies: [] },
      { ...data, copies: null },
      { ...data, copies: [null] },
      { ...data, copies: new Array(1) },
      { ...data, copies: [handle] },
      { ...data, copies: [...data.copies, ...data.copies] },
      { ...data, copies: [...data.copies, ...foreign.copies] },
      { ...data, copies: [arena.toHandle()] },
      { ...data, copies: new Array(2000).fill(data.copies[0]) },
    ];
    for (const forged of wrong) {
      throwsCode(
        () => Replicated.fromHandle({ numakitHandle: "replicated", data: forged }),
        "EINVAL",
      );
    }
    for (const forged of [null, 1, {}, data.copies[0], { numakitHandle: "replicated" }]) {
      throwsCode(() => Replicated.fromHandle(forged as Handle), "EINVAL");
    }
    assert.equal(arena.destroyed, false);
    replicated.destroy();
    throwsCode(() => Replicated.fromHandle(handle), "ESTALE");
  });

  it("survive control words that somebody scribbled over", () => {
    using replicated = Replicated.create({ size: 64 });
    const [arena] = arenasOf(replicated, "copies");
    const { buffer, byteOffset } = arena?.bytes as Uint8Array<ArrayBuffer>;
    const words = new Int32Array(buffer, byteOffset, 5 * 32);
    let seed = 1;
    for (let round = 0; round < 200; round++) {
      for (const index of words.keys()) words[index] = seed = Math.imul(seed, 1103515245) + 12345;
      assert.equal(replicated.read((bytes) => bytes.length), 64);
      try {
        replicated.update(new Uint8Array(64), { timeoutMs: 0 });
      } catch (error) {
        assert.match((error as { code: string }).code, /^(EDEADLK|EWOULDBLOCK)$/);
      }
    }
  });
});

describe("replicated between threads", () => {
  it("is never seen half written, and never goes back", async () => {
    using replicated = Replicated.create({ size: "16 KiB" });
    const control = newControl();
    const readers = Array.from(
      { length: 6 },
      () => run<ReaderReport>({ task: "read", replicated, control }),
    );
    await reaches(control, 0, readers.length);
    const end = performance.now() + 1500;
    let version = 0;
    // On a busy machine readers are stopped in their reads, and an update waits for them.
    while (performance.now() < end || version <= 20) {
      version = await replicated.updateAsync(fillWithVersion);
      if (version % 16 === 0) await sleep(0);
    }
    Atomics.store(control, 1, 1);
    const reports = await Promise.all(readers.map((reader) => reader.join()));
    for (const { torn, backwards, reads, last } of reports) {
      assert.deepEqual({ torn, backwards }, { torn: 0, backwards: 0 });
      assert.ok(reads > 100, `${reads} reads`);
      assert.ok(last > 0 && last <= version, `last saw ${last} of ${version}`);
    }
  });

  it("loses no update when several threads write", async () => {
    using replicated = Replicated.create({ size: 4096 });
    const control = newControl();
    const count = 100;
    const reader = run<ReaderReport>({ task: "read", replicated, control });
    const writers = [1, 2, 3].map(() => run<number>({ task: "write", replicated, control, count }));
    await Promise.all(writers.map((writer) => writer.join()));
    Atomics.store(control, 1, 1);
    const { torn, backwards } = await reader.join();
    assert.deepEqual({ torn, backwards }, { torn: 0, backwards: 0 });
    assert.equal(replicated.version, 3 * count);
    assert.equal(replicated.read(isWhole), true);
  });

  it("blocks an update only as long as a reader is there, and tells which", async () => {
    using replicated = Replicated.create({ size: 4096 });
    const control = newControl();
    const thread = run({ task: "dieInRead", replicated, control });
    await reaches(control, 0, 1);
    replicated.update(fillWithVersion);
    const reads = /the thread in slot \d+ still reads .* on node \d+, and /;
    throwsCode(
      () => replicated.update(fillWithVersion, { timeoutMs: 20, block: true }),
      "ETIMEDOUT",
      reads,
    );
    throwsCode(() => replicated.update(fillWithVersion), "EWOULDBLOCK", reads);
    assert.equal(replicated.update(fillWithVersion, { timeoutMs: 20_000, block: true }), 2);
    await thread.join();
  });

  for (const task of ["dieInRead", "dieWithSnapshot"]) {
    it(`goes on after a reader was terminated: ${task}`, async () => {
      using replicated = Replicated.create({ size: 4096 });
      for (let round = 0; round < 2; round++) {
        const control = newControl();
        const thread = run({ task, replicated, control });
        await reaches(control, 0, 1);
        replicated.update(fillWithVersion);
        // On Deno a busy loop goes on to its end.
        assert.equal(await thread.terminate({ timeoutMs: 120_000 }), true);
        replicated.update(fillWithVersion, { timeoutMs: 0 });
        assert.equal(replicated.update(fillWithVersion, { timeoutMs: 0 }), 3 * (round + 1));
      }
    });
  }

  it("goes on after a writer was terminated, as if it had never begun", async () => {
    using replicated = Replicated.create({ size: 4096 });
    const control = newControl();
    const thread = run({ task: "dieInUpdate", replicated, control });
    await reaches(control, 0, 1);
    const updates = /another thread is updating it, and /;
    throwsCode(
      () => replicated.update(fillWithVersion, { timeoutMs: 20, block: true }),
      "ETIMEDOUT",
      updates,
    );
    await rejectsCode(
      replicated.updateAsync(fillWithVersion, { timeoutMs: 20 }),
      "ETIMEDOUT",
      updates,
    );
    assert.equal(replicated.read(isWhole), true);
    assert.equal(await thread.terminate({ timeoutMs: 120_000 }), true);
    assert.equal(replicated.version, 0);
    assert.equal(replicated.update(fillWithVersion, { timeoutMs: 0 }), 1);
    assert.equal(replicated.read(isWhole), true);
  });
});
