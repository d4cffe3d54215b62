import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import {
  Arena,
  DelegatedMap,
  type DelegatedMapOptions,
  type HashMap,
  type MapType,
  type MapTypeValue,
  NumaError,
} from "../../mod.ts";
import { codecOf } from "../../lib/structs/maps/codecs.ts";
import { mapOptionOf, mapSettingsOf } from "../../lib/structs/maps/map_settings.ts";
import {
  answer,
  checkReply,
  COUNT,
  type MessageShape,
  REQUEST_HEAD,
  SET,
  WHAT,
} from "../../lib/structs/placed/delegated_messages.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runDelegated } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { sharedWords } from "../support/words.ts";

const PARTITIONS = 2;

function memories(options: DelegatedMapOptions): readonly SharedArrayBuffer[] {
  const bytes = DelegatedMap.bytes(options, PARTITIONS);
  return Array.from({ length: PARTITIONS }, () => new SharedArrayBuffer(bytes));
}

function mapOf<const Key extends MapType, const Value extends MapType>(
  options: DelegatedMapOptions<Key, Value>,
): DelegatedMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  return DelegatedMap.create(memories(options), options);
}

/** Some time, at most, until something is so. */
async function until(isSo: () => boolean): Promise<void> {
  for (let round = 0; !isSo(); round++) {
    assert.ok(round < 20_000, "it takes too long");
    await sleep(1);
  }
}

const numbers = { key: "u32", value: "f64", capacity: 200, threads: 64 } as const;

describe("DelegatedMap", () => {
  it("does what a Map does, for its owner", async () => {
    const step = fc.record({
      what: fc.constantFrom("set", "delete", "add", "exchange", "insert"),
      key: fc.constantFrom(0, 1, 7, 2 ** 32 - 1),
      value: fc.integer({ min: -9, max: 9 }),
      other: fc.integer({ min: -1, max: 1 }),
    });
    const map = mapOf(numbers);
    const controller = new AbortController();
    const served = [0, 1].map((partition) => map.serve({ partition, signal: controller.signal }));
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const model = new Map<number, number>();
        for (const key of [0, 1, 7, 2 ** 32 - 1]) await map.delete(key);
        for (const { what, key, value, other } of steps) {
          const before = model.get(key);
          if (what === "set") {
            await map.set(key, value);
            model.set(key, value);
          } else if (what === "delete") {
            assert.equal(await map.delete(key), model.delete(key));
          } else if (what === "add") {
            assert.equal(await map.add(key, value), (before ?? 0) + value);
            model.set(key, (before ?? 0) + value);
          } else if (what === "insert") {
            assert.equal(await map.getOrInsert(key, value), before ?? value);
            model.set(key, before ?? value);
          } else {
            const expected = other < 0 ? undefined : before ?? other;
            const replacement = other === 0 ? undefined : value;
            assert.equal(await map.compareExchange(key, expected, replacement), before);
            if (before === expected) {
              if (replacement === undefined) model.delete(key);
              else model.set(key, replacement);
            }
          }
          assert.equal(await map.get(key), model.get(key));
          assert.equal(await map.has(key), model.has(key));
          assert.equal(map.size, model.size);
        }
        const keys = [7, 0, 5, 1, 7];
        assert.deepEqual(await map.getMany(keys), keys.map((key) => model.get(key)));
      }),
      { numRuns: 40 },
    );
    controller.abort();
    await Promise.all(served);
  });

  it("is asked by threads, and served by others", async () => {
    const map = mapOf(numbers);
    const state = sharedWords(3);
    const task = { map, state, count: 60 } as const;
    const owners = [0, 1].map((partition) =>
      runDelegated({ ...task, task: "serve", first: 0, partition })
    );
    // Also before anybody serves.
    const early = map.add(3, 5);
    const askers = [0, 1, 2].map((index) =>
      runDelegated({ ...task, task: "ask", first: 1000 + 50 * index })
    );
    assert.ok(await early >= 5);
    assert.deepEqual(await Promise.all(askers.map((thread) => thread.join())), [60, 60, 60]);
    let sum = 0;
    for (const value of await map.getMany([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])) sum += value ?? 0;
    assert.equal(sum, 180 + 5);
    assert.equal(map.size, 70);
    state[2] = 1;
    assert.deepEqual(await Promise.all(owners.map((thread) => thread.join())), [1, 1]);
    // Nobody serves any more, and this thread can.
    await rejectsCode(map.get(1, { timeoutMs: 20 }), "ETIMEDOUT", /it may be done later/);
    const served = [map.serve(), map.serve()];
    await rejectsCode(map.serve(), "EOWNER", /a thread serves each/);
    await rejectsCode(map.serve({ partition: 1 }), "EOWNER", /serves partition 1/);
    assert.equal(await map.add(3, 0), await map.get(3));
    map.close();
    await Promise.all(served);
  });

  it("says so when an owner dies, and goes on with another one and the same data", async () => {
    const map = mapOf(numbers);
    const state = sharedWords(3);
    const task = { map, state, first: 0, count: 0 } as const;
    for (let round = 1; round <= 3; round++) {
      state[0] = 0;
      const owners = [0, 1].map((partition) =>
        runDelegated({ ...task, task: "die while it serves", partition })
      );
      await until(() => Atomics.load(state, 0) === 2);
      await map.setMany([...Array(50).keys()].map((key) => [key, key * round]));
      const [dead] = owners as [typeof owners[0]];
      const asked: Promise<unknown>[] = [];
      const ended = dead?.terminate();
      for (let index = 0; index < 200; index++) asked.push(map.add(100 + (index % 20), 1));
      const results = await Promise.allSettled(asked);
      assert.equal(await ended, true);
      for (const result of results) {
        if (result.status === "rejected") {
          assert.equal((result.reason as { code?: string }).code, "EOWNERDEAD");
        }
      }
      // What was sent to nobody is done by the next one.
      const late = [...Array(50).keys()].map((key) => map.get(key, { timeoutMs: 20_000 }));
      const controller = new AbortController();
      const served = map.serve({ signal: controller.signal });
      assert.deepEqual(await Promise.all(late), [...Array(50).keys()].map((key) => key * round));
      const done = results.filter(({ status }) => status === "fulfilled").length;
      const counts = await map.getMany([...Array(20).keys()].map((key) => 100 + key));
      const sum = counts.reduce<number>((sum, value) => sum + (value ?? 0), 0);
      assert.ok(sum >= done && sum <= 200, `${sum} of ${done}`);
      for (let key = 100; key < 120; key++) await map.delete(key);
      controller.abort();
      await served;
      await owners[1]?.terminate();
    }
  });

  it("ends waits by their timeout, their signal, and close", async () => {
    const map = mapOf(numbers);
    await rejectsCode(map.get(1, { timeoutMs: 5 }), "ETIMEDOUT", /no reply after 5 ms/);
    const controller = new AbortController();
    const waits = map.getMany([1, 2, 3], { signal: controller.signal });
    const mine = new Error("mine");
    controller.abort(mine);
    await assert.rejects(waits, mine);
    await assert.rejects(map.get(1, { signal: controller.signal }), mine);
    const early = map.set(1, 2);
    throwsCode(() => map.leave(), "EBUSY", /requests of this thread are awaited/);
    map.close();
    await rejectsCode(early, "ECLOSED", /was closed; it may be done, or be done later/);
    await rejectsCode(map.get(1), "ECLOSED");
    map.leave();
    // What was closed before it began does what was sent, and ends.
    await Promise.all([map.serve(), map.serve()]);
    assert.equal(map.size, 1);
  });

  it("does long batches, and texts and bytes", async () => {
    const options = { key: { text: 64 }, value: { bytes: 1000 }, capacity: 100 } as const;
    const map = mapOf(options);
    const state = sharedWords(3);
    const any = map as unknown as DelegatedMap<number, number>;
    const task = { map: any, state, first: 0, count: 0 } as const;
    const owners = [0, 1].map(() => runDelegated({ ...task, task: "serve" }));
    const keys = Array.from({ length: 100 }, (_, index) => `${index} ${"x".repeat(50)}`);
    await map.setMany(keys.map((key, index) => [key, new Uint8Array(1000).fill(index)]));
    const found = await map.getMany([...keys, "none"]);
    assert.equal(found.pop(), undefined);
    for (const [index, value] of found.entries()) {
      assert.deepEqual(value, new Uint8Array(1000).fill(index));
    }
    await rejectsCode(
      map.setMany(Array.from({ length: 900 }, (_, key) => [`new ${key}`, new Uint8Array(1000)])),
      "ENOMEM",
      /no room for another key/,
    );
    assert.equal(await map.compareExchange("a", undefined, undefined), undefined);
    // Behind the rest of the batch, which would wait for a next owner.
    await map.getMany(keys);
    state[2] = 1;
    await Promise.all(owners.map((thread) => thread.join()));
  });

  it("gets replies that had to wait for room, also from an owner that stops", async () => {
    const options = { key: "u32", value: { bytes: 1000 }, capacity: 8 } as const;
    const map = DelegatedMap.create(new SharedArrayBuffer(DelegatedMap.bytes(options)), options);
    const state = sharedWords(3);
    const any = map as unknown as DelegatedMap<number, number>;
    const owner = runDelegated({ task: "serve", map: any, state, first: 0, count: 0 });
    await map.set(1, new Uint8Array(1000).fill(7));
    const asked = Array.from({ length: 300 }, () => map.get(1, { timeoutMs: 20_000 }));
    // This thread takes none meanwhile, and there is room for a few.
    Atomics.wait(state, 2, 0, 300);
    Atomics.store(state, 2, 1);
    Atomics.wait(state, 2, 1, 2000);
    assert.equal(await owner.join(), 1);
    // On a busy machine it was told to stop before it had taken all of them.
    const later = sharedWords(3);
    const next = runDelegated({ task: "serve", map: any, state: later, first: 0, count: 0 });
    for (const value of await Promise.all(asked)) assert.equal(value?.[999], 7);
    later[2] = 1;
    assert.equal(await next.join(), 1);
  });

  it("lets another thread serve also when its own one had asked more than there is room for", async () => {
    const map = DelegatedMap.create(new SharedArrayBuffer(DelegatedMap.bytes(numbers)), numbers);
    const asked = Array.from(
      { length: 1000 },
      (_, key) => map.set(key % 100, key, { timeoutMs: 20_000 }),
    );
    const controller = new AbortController();
    const served = map.serve({ signal: controller.signal });
    controller.abort();
    await served;
    const state = sharedWords(3);
    const owner = runDelegated({ task: "serve", map, state, first: 0, count: 0 });
    await Promise.all(asked);
    assert.equal(await map.get(99), 999);
    assert.equal(map.size, 100);
    state[2] = 1;
    assert.equal(await owner.join(), 1);
  });

  it("takes entries that can be iterated once", async () => {
    const map = mapOf(numbers);
    const served = [map.serve(), map.serve()];
    await map.setMany([[1, 2], [3, 4]].map((entry) => entry.values() as never));
    assert.deepEqual(await map.getMany([1, 3]), [2, 4]);
    map.close();
    await Promise.all(served);
  });

  it("says where keys are at home", () => {
    const map = mapOf(numbers);
    const counts = [0, 0];
    for (let key = 0; key < 1000; key++) {
      const partition = map.partitionOf(key);
      counts[partition] = (counts[partition] as number) + 1;
      assert.equal(map.homeOf(key), -1);
    }
    assert.ok(counts.every((count) => count > 350), String(counts));
    assert.deepEqual(map.nodes, [-1, -1]);
  });

  it("refuses what cannot be", async () => {
    for (
      const options of [
        {},
        { key: "u32" },
        { ...numbers, capacity: 7 },
        { ...numbers, clients: 0 },
        { ...numbers, clients: 65 },
        { ...numbers, clients: NaN },
        { ...numbers, threads: 0 },
      ]
    ) throwsCode(() => DelegatedMap.bytes(options as unknown as DelegatedMapOptions), "EINVAL");
    for (const partitions of [0, 65, 1.5, NaN, "1", null]) {
      throwsCode(() => DelegatedMap.bytes(numbers, partitions as number), "EINVAL");
    }
    for (const memory of [[], null, 7, [7], new SharedArrayBuffer(64)]) {
      throwsCode(() => DelegatedMap.create(memory as never, numbers), "EINVAL");
    }
    const [one] = memories(numbers) as [SharedArrayBuffer];
    throwsCode(() => DelegatedMap.create([one, one], numbers), "EBUSY");
    const odd = new SharedArrayBuffer(DelegatedMap.bytes(numbers) + 2);
    throwsCode(() => DelegatedMap.create(odd, numbers), "EINVAL", /the memory of a part is/);
    const map = mapOf({ key: "u32", value: { text: 4 }, capacity: 8 });
    for (const key of [-1, -0, 0.5, NaN, 2 ** 53, "1", undefined]) {
      await rejectsCode(map.get(key as number), "EINVAL", /the key is/);
      await rejectsCode(map.set(key as number, "a"), "EINVAL", /the key is/);
      await rejectsCode(map.getMany([1, key as number]), "EINVAL", /the key is/);
      throwsCode(() => map.homeOf(key as number), "EINVAL", /the key is/);
    }
    for (const value of [1, "12345", undefined, "\ud800"]) {
      await rejectsCode(map.set(1, value as string), "EINVAL", /the value/);
      await rejectsCode(map.setMany([[1, value as string]]), "EINVAL", /the value/);
      await rejectsCode(map.getOrInsert(1, value as string), "EINVAL", /the value/);
    }
    await rejectsCode(map.add(1, 1), "EINVAL", /no numbers/);
    await rejectsCode(map.getMany(7 as never), "EINVAL", /keys is 7/);
    await rejectsCode(map.setMany([7 as never]), "EINVAL", /an entry is 7/);
    await rejectsCode(map.get(1, { timeoutMs: -1 }), "EINVAL");
    await rejectsCode(map.serve({ partition: 2 }), "EINVAL");
    await rejectsCode(map.serve({ signal: 7 as never }), "EINVAL");
    await rejectsCode(map.serve(null as never), "EINVAL");
    assert.equal(DelegatedMap.fromHandle<number, string>(map.toHandle()), map);
    interface Part {
      readonly map: unknown;
      readonly requests: unknown;
      readonly inboxes: readonly unknown[];
    }
    const handle = map.toHandle() as { data: { control: unknown; parts: readonly Part[] } };
    const [here, there] = handle.data.parts as [Part, Part];
    for (
      const data of [
        {},
        { control: handle.data.control },
        { control: handle.data.control, parts: [handle.data.parts[0]] },
        { control: handle.data.control, parts: [null, null] },
        { control: null, parts: handle.data.parts },
        {
          control: handle.data.control,
          parts: [{ ...here, map: there.map }, { ...there, map: here.map }],
        },
        { control: handle.data.control, parts: [{ ...here, requests: there.requests }, there] },
        {
          control: handle.data.control,
          parts: [{ ...here, inboxes: here.inboxes.slice(1) }, there],
        },
        { control: handle.data.control, parts: [here, { ...there, inboxes: here.inboxes }] },
        {
          control: handle.data.control,
          parts: [here, { ...there, inboxes: [...there.inboxes].reverse() }],
        },
      ]
    ) {
      throwsCode(
        () => DelegatedMap.fromHandle({ numakitHandle: "DelegatedMap", data }),
        "EINVAL",
      );
    }
  });

  it("says what the owner could not do", () => {
    const { key, value, shape } = mapSettingsOf(mapOptionOf(numbers, "test"));
    const { keyWords, valueWords } = shape;
    const codecs = { keys: codecOf(key, "the key"), values: codecOf(value, "the value") };
    const messages: MessageShape = { ...codecs, keyWords, valueWords };
    const request = new Int32Array(REQUEST_HEAD + keyWords + valueWords);
    request[WHAT] = SET;
    request[COUNT] = 1;
    for (
      const [code, said] of [
        ["ENOMEM", "ENOMEM"],
        ["EBUSY", "EBUSY"],
        ["EINVAL", "EINVAL"],
        ["ETERMINATED", "EOWNERDEAD"],
        ["EDESTROYED", "EOWNERDEAD"],
      ] as const
    ) {
      const set = (): void => {
        throw new NumaError(code, "test", { why: "a test", fix: "None." });
      };
      const map = { set } as unknown as HashMap<unknown, unknown>;
      const reply = answer(request, map, messages);
      throwsCode(() => checkReply(reply, "test"), said);
    }
  });

  it("is one more than there are clients for", async () => {
    const options = { ...numbers, clients: 1 } as const;
    const map = DelegatedMap.create(
      new SharedArrayBuffer(DelegatedMap.bytes(options)),
      options,
    );
    const state = sharedWords(3);
    const owner = runDelegated({ task: "serve", map, state, first: 0, count: 0 });
    await map.set(1, 2);
    const asker = runDelegated({ task: "ask", map, state, first: 5, count: 1 });
    await rejectsCode(asker.join(), "EAGAIN", /as many threads ask/);
    map.leave();
    const other = runDelegated({ task: "ask", map, state, first: 5, count: 1 });
    assert.equal(await other.join(), 1);
    state[2] = 1;
    assert.equal(await owner.join(), 1);
  });

  it("is left while it still looks for replies", async () => {
    const options = { ...numbers, clients: 1 } as const;
    const map = DelegatedMap.create(
      new SharedArrayBuffer(DelegatedMap.bytes(options)),
      options,
    );
    const state = sharedWords(3);
    const owner = runDelegated({ task: "serve", map, state, first: 0, count: 0 });
    await map.set(1, 2);
    const giveUp = async (): Promise<void> => {
      const controller = new AbortController();
      const asked = map.get(1, { signal: controller.signal });
      controller.abort(new Error("mine"));
      await assert.rejects(asked, /mine/);
    };
    await giveUp();
    map.leave();
    // Another loop, while the first one has yet to end.
    assert.equal(await map.get(1), 2);
    await giveUp();
    map.leave();
    await sleep(100);
    const asker = runDelegated({ task: "ask", map, state, first: 5, count: 1 });
    assert.equal(await asker.join(), 1);
    state[2] = 1;
    assert.equal(await owner.join(), 1);
  });

  it("settles whatever is in its memory", async () => {
    let random = 1;
    const any = (): number => {
      random = Math.imul(random, 0x915f77f5) + 12_345;
      return random | 0x4000_0000;
    };
    for (let round = 0; round < 12; round++) {
      const parts = memories(numbers).map((memory) => new Int32Array(memory));
      const map = DelegatedMap.create(parts, numbers);
      for (const words of parts) {
        for (let at = 64 + round * 40; at < words.length; at++) {
          // Not the first lines of regions, which say what is there: a thread that attaches looks at them.
          if (words[at] !== 0 || at % 5 === 0) words[at] = any();
        }
      }
      const controller = new AbortController();
      const served = map.serve({ signal: controller.signal });
      const results: PromiseSettledResult<unknown>[] = await Promise.allSettled([
        ...[1, 2, 3, 4, 5].map((key) => map.get(key, { timeoutMs: 20 })),
        map.getMany([1, 2, 3, 4, 5, 6], { timeoutMs: 20 }),
      ]);
      controller.abort();
      results.push(...await Promise.allSettled([served]));
      for (const result of results) {
        if (result.status === "rejected") assert.ok(result.reason instanceof NumaError);
      }
    }
  });

  it("lives in arenas, and ends with them", { skip: noPolicies }, async () => {
    const size = DelegatedMap.bytes(numbers, PARTITIONS) + 8192;
    const arenas = [0, 1].map(() => Arena.create({ node: 0, size }));
    const map = DelegatedMap.create(arenas, numbers);
    assert.deepEqual(map.nodes, [0, 0]);
    assert.equal(map.homeOf(1), 0);
    assert.equal(DelegatedMap.fromHandle<number, number>(map.toHandle()), map);
    const served = [map.serve({ partition: 0 }), map.serve({ partition: 1 })];
    const ends = served.map((end) => rejectsCode(end, "EDESTROYED"));
    await map.set(1, 2);
    assert.equal(await map.get(1), 2);
    for (const arena of arenas) arena.destroy();
    await Promise.all(ends);
    await rejectsCode(map.get(1), "EDESTROYED");
    await rejectsCode(map.serve(), "EDESTROYED");
    throwsCode(() => map.size, "EDESTROYED");
    throwsCode(() => map.close(), "EDESTROYED");
    throwsCode(() => map.leave(), "EDESTROYED");
    throwsCode(() => map.toHandle(), "EDESTROYED");
  });
});
