import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { markAsUntransferable } from "node:worker_threads";
import {
  Arena,
  bind,
  type Binding,
  interleave,
  launch,
  NumaError,
  Replicated,
  sharedBuffer,
  type Thread,
} from "../../mod.ts";
import { onDeno, sibling } from "../support/checkout.ts";
import {
  type Destroyable,
  type Kind,
  KINDS,
  membersOf,
  useMember,
} from "../support/destroyables.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { liveMappings } from "../support/mappings.ts";
import type { DestroyTask, Gate } from "../workers/after_destroy.ts";

const ROUNDS = 100_000;
const kinds = Object.entries(KINDS);

function run<Result>(args: DestroyTask): Thread<Result> {
  return launch<Result>(sibling(import.meta.url, "../workers/after_destroy"), { args });
}

const newGate = (): Gate => new Int32Array(new SharedArrayBuffer(8));

function open(gate: Gate): void {
  Atomics.store(gate, 1, 1);
  Atomics.notify(gate, 1);
}

/** Waits for what a thread counts; what ended it is thrown. */
async function until(gate: Gate, count: number, thread: Thread<unknown>): Promise<void> {
  while (Atomics.load(gate, 0) < count) {
    if (thread.state === "ended") await thread.join();
    await sleep(1);
  }
}

/** Threads let go of their mappings a moment after they end. */
async function settled(expected: number): Promise<number> {
  // Threads take long to end where everything does: Deno's in an emulated machine more than ten seconds.
  for (let tries = 0; tries < 20_000 && liveMappings() !== expected; tries++) await sleep(10);
  return liveMappings();
}

const each = <Item>(make: (kind: Kind, name: string) => Item): Record<string, Item> =>
  Object.fromEntries(kinds.map(([name, kind]) => [name, make(kind, name)]));

/** What a member answers for ever: everything that needs no memory. */
function isAnswer(member: string | symbol, { answers = [] }: Kind): boolean {
  const always = ["destroyed", "destroy", "toString", Symbol.dispose];
  return [...always, Symbol.for("nodejs.util.inspect.custom"), ...answers].includes(member);
}

async function checkRefusal(call: () => unknown, codes: readonly string[]): Promise<void> {
  let result: unknown;
  try {
    result = await call();
  } catch (error) {
    assert.ok(error instanceof NumaError, `not a NumaError: ${error}`);
    assert.ok(codes.includes(error.code), error.message);
    return;
  }
  assert.fail(`it answered ${String(result)}`);
}

describe("every member after destroy", () => {
  const junk = [[], [0], [-1], [NaN], [2 ** 40], ["x", "y"], [null, null], [{}], [Symbol("x"), 1n]];

  async function check(kind: Kind, object: Destroyable): Promise<void> {
    const args = kind.args(object);
    const fields = Object.entries(object);
    const members = membersOf(object);
    const right = (member: string | symbol) => args[String(member)] ?? [];
    const answers = () =>
      (kind.answers ?? []).map((member) => useMember(object, member, right(member)));
    const before = answers();
    object.destroy();
    assert.deepEqual(Object.entries(object), fields);
    assert.deepEqual(answers(), before);
    assert.ok(members.length > 10 && members.includes("toHandle"));
    for (const member of members) {
      if (isAnswer(member, kind)) continue;
      await checkRefusal(() => useMember(object, member, right(member)), ["EDESTROYED"]);
      for (const wrong of junk) {
        const refusals = ["EDESTROYED", "EINVAL", "ENODEV"];
        await checkRefusal(() => useMember(object, member, wrong), refusals);
      }
    }
    for (const member of ["toString", Symbol.for("nodejs.util.inspect.custom")]) {
      assert.match(String(useMember(object, member, [])), /destroyed/);
    }
  }

  for (const [name, kind] of kinds) {
    it(`refuses, or answers what needs no memory: ${name}`, () => check(kind, kind.make()));

    it(`does so where somebody keeps its buffers from being detached: ${name}`, async () => {
      const object = kind.make();
      const views = kind.views(object).map(({ buffer }) => new Uint8Array(buffer, 0, 8192));
      for (const { buffer } of views) markAsUntransferable(buffer);
      await check(kind, object);
      // Bun detaches it all the same. Elsewhere the view lives on, and is nobody else's memory.
      const living = views.filter(({ length }) => length > 0);
      using other = kind.make();
      const theirs = kind.views(other).map(({ buffer }) => new Uint8Array(buffer, 0, 8192));
      const before = theirs.map((view) => view.slice());
      for (const view of living) view.fill(9);
      assert.deepEqual(theirs, before);
      kind.use(other);
      assert.ok(living.every((view) => view.every((byte) => byte === 9)));
    });
  }
});

describe("destroying twice", () => {
  for (const [name, kind] of kinds) {
    it(`is no fault, nor is it one for who has attached it anew: ${name}`, async () => {
      const live = liveMappings();
      const object = kind.make();
      const handle = object.toHandle();
      const gate = newGate();
      const holder = run({ task: "hold", gate, objects: { [name]: object } });
      await until(gate, 1, holder);
      object.destroy();
      const again = kind.attach(handle);
      assert.notEqual(again, object);
      const views = kind.views(again);
      for (let time = 0; time < 3; time++) {
        object.destroy();
        object[Symbol.dispose]();
        throwsCode(() => kind.use(object), "EDESTROYED");
      }
      assert.deepEqual([object.destroyed, again.destroyed], [true, false]);
      assert.ok(views.every(({ byteLength }) => byteLength > 0));
      kind.use(again);
      assert.equal(kind.attach(handle), again);
      again.destroy();
      open(gate);
      await holder.join();
      throwsCode(() => kind.attach(handle), "ESTALE");
      assert.equal(await settled(live), live);
    });
  }

  it("ends an arena with a name once, though it was opened as well", () => {
    const name = `twice-${process.pid}`;
    const made = Arena.create({ node: 0, size: 4096, name });
    const opened = Arena.open(name);
    const view = made.view(0, 16).fill(3);
    opened.destroy();
    throwsCode(() => made.alloc(16), "EDESTROYED");
    made.destroy();
    assert.equal(view.length, 0);
    throwsCode(() => Arena.open(name), "ESTALE");
  });
});

describe("compiled code that goes on after destroy", () => {
  /** One function, one loop: what is hot before is what runs afterwards. */
  function loop(kind: Kind, object: Destroyable, words: Uint8Array): [number, number] {
    let refused = 0;
    let sum = 0;
    for (let round = 0; round < ROUNDS + 1000; round++) {
      if (round === ROUNDS) object.destroy();
      try {
        kind.use(object);
      } catch (error) {
        if ((error as NumaError).code !== "EDESTROYED") throw error;
        refused++;
      }
      words[0] = 1;
      sum += words[0] ?? 0;
    }
    return [refused, sum];
  }

  for (const [name, kind] of kinds) {
    it(`gets errors from it and nothing from its views: ${name}`, () => {
      const object = kind.make();
      const view = kind.views(object).find((view) => view instanceof Uint8Array) ??
        new Uint8Array(kind.views(object)[0]?.buffer as ArrayBuffer);
      assert.deepEqual(loop(kind, object, view as Uint8Array), [1000, ROUNDS]);
    });
  }
});

type AnyView = Exclude<ArrayBufferView<ArrayBuffer>, DataView> & Uint8Array<ArrayBuffer>;

/** A typed array over memory that is gone has no element, and no way to make one. */
function checkDeadArray(view: AnyView): void {
  const one =
    (typeof new (view.constructor as typeof Uint8Array)(1)[0] === "bigint" ? 1n : 1) as number;
  view[0] = one;
  assert.deepEqual([view.length, view.byteLength, view[0]], [0, 0, undefined]);
  assert.deepEqual([0 in view, Object.keys(view)], [false, []]);
  const { buffer } = view;
  assert.equal(buffer.byteLength, 0);
  assert.throws(() => view.fill(one), TypeError);
  assert.throws(() => view.set([one]), Error);
  assert.throws(() => [...view], TypeError);
  assert.throws(() => view.slice(), TypeError);
  assert.throws(() => new DataView(buffer), TypeError);
  assert.throws(() => new Uint8Array(buffer, 0, 16), Error);
}

describe("a view from before destroy", () => {
  for (const [name, kind] of kinds) {
    it(`is empty, whatever its type: ${name}`, () => {
      const object = kind.make();
      const views = kind.views(object);
      assert.ok(views.length > 1 && views.every(({ byteLength }) => byteLength > 0));
      object.destroy();
      for (const view of views) {
        if (view instanceof DataView) {
          assert.throws(() => view.byteLength, TypeError);
          assert.throws(() => view.getInt8(0), TypeError);
          assert.throws(() => view.setFloat64(0, 1), TypeError);
        } else checkDeadArray(view as AnyView);
      }
    });

    it(`takes no atomic operation: ${name}`, () => {
      const object = kind.make();
      const { buffer } = kind.views(object)[0] as AnyView;
      const arrays = [new Int32Array(buffer, 64, 4), new BigInt64Array(buffer, 64, 4)];
      Atomics.add(arrays[0] as Int32Array, 0, 1);
      object.destroy();
      const { isLockFree: _isLockFree, pause: _pause, ...operations } = Object.fromEntries(
        Object.getOwnPropertyNames(Atomics).map((name) => [name, Reflect.get(Atomics, name)]),
      );
      const methods = Object.entries(operations).filter(([, value]) => typeof value === "function");
      assert.ok(methods.length >= 11);
      for (const array of arrays) {
        const value = array instanceof Int32Array ? 1 : 1n;
        for (const [method, call] of methods) {
          const args = method === "notify" ? [array, 0, 1] : [array, 0, value, value];
          assert.throws(() => Reflect.apply(call as () => unknown, Atomics, args), Error, method);
        }
      }
    });
  }

  it("harms no code of the runtime that it is given to", () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    const { bytes } = arena;
    arena.destroy();
    const uses: (() => unknown)[] = [
      () => new TextDecoder().decode(bytes),
      () => Buffer.from(bytes).length,
      () => Buffer.from(bytes.buffer).length,
      () => new TextEncoder().encodeInto("text", bytes).written,
      () => structuredClone(bytes).length,
      () => structuredClone(bytes.buffer, { transfer: [bytes.buffer] }).byteLength,
      () => bytes.buffer.slice(0).byteLength,
      () => new Float64Array(bytes).length,
      () => Buffer.compare(bytes, new Uint8Array(0)),
    ];
    for (const use of uses) {
      let result: unknown = 0;
      try {
        result = use();
      } catch {
        // Most of them say that it is detached.
      }
      assert.ok(result === 0 || result === "", `${use} gave ${result}`);
    }
  });
});

describe("an update that is destroyed while it waits", () => {
  it("ends with an error", async () => {
    const replicated = Replicated.create({ size: 64 });
    replicated.local();
    replicated.update(() => {});
    const waiting = rejectsCode(replicated.updateAsync(new Uint8Array(64)), "EDESTROYED");
    replicated.destroy();
    await waiting;
  });

  it("ends so, too, when its own options destroy it", () => {
    const replicated = Replicated.create({ size: 64 });
    const options = {
      get timeoutMs(): number {
        replicated.destroy();
        return 1;
      },
    };
    throwsCode(() => replicated.update(new Uint8Array(64), options), "EDESTROYED");
  });

  it("leaves a snapshot that can be released, but not in the place of a later one", async () => {
    const object = Replicated.create({ size: 64 });
    const snapshot = object.local();
    const gate = newGate();
    const objects = { "a replicated buffer": object };
    const holder = run({ task: "hold", gate, objects });
    await until(gate, 1, holder);
    const handle = object.toHandle();
    object.destroy();
    using again = Replicated.fromHandle(handle);
    const later = again.local();
    again.update(new Uint8Array(64));
    snapshot.release();
    throwsCode(() => again.update(new Uint8Array(64), { timeoutMs: 0 }), "EDEADLK");
    later.release();
    again.update(new Uint8Array(64));
    open(gate);
    await holder.join();
  });
});

describe("a thread and what another one has destroyed", () => {
  it("is refused what it comes too late for", async () => {
    const live = liveMappings();
    const objects = each((kind) => kind.make());
    const handles = JSON.stringify(each((_, name) => objects[name]?.toHandle()));
    const gate = newGate();
    const thread = run<Record<string, string>>({ task: "late", gate, handles });
    for (const object of Object.values(objects)) object.destroy();
    open(gate);
    assert.deepEqual(await thread.join(), each(() => "ESTALE"));
    assert.equal(await settled(live), live);
  });

  it("is not even started with it", () => {
    for (const [, kind] of kinds) {
      const object = kind.make();
      object.destroy();
      throwsCode(() => launch("file:///nowhere.ts", { args: { deep: [object] } }), "EDESTROYED");
    }
  });

  it("cannot return it", async () => {
    const objects = each((kind) => kind.make());
    await Promise.all(
      Object.values(objects).map(async (object) => {
        await rejectsCode(run({ task: "giveBack", object }).join(), "EDESTROYED");
        object.destroy();
      }),
    );
  });

  it("goes on with what it holds, until it destroys that itself", async () => {
    const live = liveMappings();
    const objects = each((kind) => kind.make());
    const gate = newGate();
    const thread = run({ task: "hold", gate, objects });
    await until(gate, 1, thread);
    for (const object of Object.values(objects)) object.destroy();
    open(gate);
    assert.deepEqual(
      await thread.join(),
      kinds.map(([name]) => ({ name, lives: true, works: "none", ends: true, then: "EDESTROYED" })),
    );
    assert.equal(await settled(live), live);
  });

  for (const [name, kind] of kinds) {
    it(`may be terminated in the middle of its use, before and after: ${name}`, async () => {
      const live = liveMappings();
      await Promise.all([true, false].map(async (early) => {
        const object = kind.make();
        const gate = newGate();
        const thread = run({ task: "use", gate, name, object });
        await until(gate, 3, thread);
        if (early) object.destroy();
        await until(gate, Atomics.load(gate, 0) + 3, thread);
        assert.equal(await thread.terminate({ timeoutMs: 120_000 }), true);
        // On Deno a worker lets go of its memory first, and may notice.
        const codes = onDeno ? ["ETERMINATED", "EDESTROYED"] : ["ETERMINATED"];
        await checkRefusal(() => thread.join(), codes);
        if (early) return;
        kind.use(object);
        object.destroy();
      }));
      assert.equal(await settled(live), live);
    });
  }
});

describe("a binding after release", () => {
  const makers: Record<string, () => Binding> = {
    bind: () => bind(new Int32Array(new SharedArrayBuffer(65536)), { node: 0 }),
    interleave: () => interleave(new Uint8Array(65536), { nodes: [0] }),
    sharedBuffer: () => sharedBuffer({ node: 0, size: 65536 }),
  };

  for (const [name, make] of Object.entries(makers)) {
    it(`answers for every member, and its memory stays: ${name}`, () => {
      const binding = make();
      const bytes = new Uint8Array(
        ArrayBuffer.isView(binding.buffer) ? binding.buffer.buffer : binding.buffer as ArrayBuffer,
      );
      const fields = Object.entries(binding);
      let sum = 0;
      for (let round = 0; round < ROUNDS; round++) {
        if (round === ROUNDS / 2) binding.release();
        bytes[round & 65535] = 1;
        sum += bytes[round & 65535] ?? 0;
      }
      assert.equal(sum, ROUNDS);
      const answers: Record<string | symbol, RegExp> = {
        released: /^true$/,
        placement: /^\[object Object\]$/,
        release: /^undefined$/,
        toString: /undone/,
        [Symbol.dispose]: /^undefined$/,
        [Symbol.for("nodejs.util.inspect.custom")]: /undone/,
      };
      for (const member of membersOf(binding)) {
        assert.match(String(useMember(binding, member, [])), answers[member] ?? /a new member/);
      }
      assert.deepEqual(Object.entries(binding), fields);
      assert.equal(bytes[100], 1);
    });
  }

  it("takes no memory from a thread that uses it, nor does that thread's end", async () => {
    const binding = sharedBuffer({ node: 0, size: 65536 });
    const words = new Int32Array(binding.buffer);
    const gate = newGate();
    const thread = run({ task: "count", gate, words });
    await until(gate, 3, thread);
    binding.release();
    const before = Atomics.load(gate, 0);
    await until(gate, before + words.length + 1, thread);
    assert.equal(await thread.terminate({ timeoutMs: 120_000 }), true);
    await rejectsCode(thread.join(), "ETERMINATED");
    assert.ok(words.every((word) => word > 0), "it has gone on");
    binding.release();
  });
});
