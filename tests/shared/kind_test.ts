import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as sync from "../../lib/sync/mod.ts";
import { encode, type Handle, registerKind, type Shareable } from "../../lib/base/handle.ts";
import { defineKind, type Kind, type KindRow } from "../../lib/shared/kind.ts";
import type { Region } from "../../lib/shared/region.ts";
import { Arena } from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import type { SyncKind } from "../support/fuzz_row.ts";
import { EXPORTED, SYNC_KINDS } from "../support/fuzz_sync_kinds.ts";

/** The least that a class with a kind can be. */
class Toy implements Shareable {
  readonly region: Region;

  constructor(region: Region) {
    this.region = region;
  }

  toHandle(): Handle {
    return this.region.toHandle();
  }
}

interface ToyOptions extends sync.SyncOptions {
  readonly size?: number;
}

type ToyRow = KindRow<ToyOptions, [first: number]>;

function toys(code: number): Kind<Toy, ToyOptions, [first: number]> {
  const kind = defineKind<Toy, ToyOptions, [first: number]>({
    name: `Toy ${code}`,
    code,
    title: "an odd toy",
    accepts: ["threads", "size"],
    option: { name: "size", min: 2, max: 9, default: 4 },
    words: (_, size) => size,
    prepare({ threads, action }, first) {
      if (first > threads) throw new TypeError(action);
      return (words) => void (words[0] = first);
    },
  });
  kind.register(Toy, (region) => new Toy(region));
  return kind;
}

const define = (row: ToyRow): Kind<Toy, ToyOptions, [first: number]> => defineKind(row);

const memory = (): SharedArrayBuffer => new SharedArrayBuffer(2 ** 17);

/** The classes of lib/sync and lib/structs that come out of handles. */
const classes = new Map(
  Object.entries(EXPORTED).flatMap(([name, value]) =>
    typeof value === "function" && "fromHandle" in value
      ? [[name, value as { fromHandle(handle: Handle): Shareable }] as const]
      : []
  ),
);

function rowOf(name: string): SyncKind | undefined {
  return Object.values(SYNC_KINDS).find(({ type }) => type === classes.get(name));
}

/** One object of each class in shared words. */
const made: Readonly<Record<string, () => Shareable>> = Object.fromEntries(
  [...classes.keys()].flatMap((name) => {
    const row = rowOf(name);
    const isInWords = row !== undefined && name !== "SharedMutex";
    return isInWords ? [[name, () => row.make(memory) as Shareable]] : [];
  }),
);

describe("a kind", () => {
  it("cannot have the code of another one", () => {
    define({ ...toys(910).row, name: "Toy of its own", code: 911 });
    const again = { ...toys(912).row, name: "Toy with the code of another" };
    throwsCode(() => define(again), "EINVAL", /"Toy 912" has the code 912 already/);
  });

  it("cannot have the name of another one", () => {
    const again = { ...toys(913).row, code: 914 };
    throwsCode(() => define(again), "EINVAL", /has the name "Toy 913" already/);
  });

  it("cannot have the name of a class that has no kind", () => {
    const arena = { ...toys(915).row, name: "arena", code: 916 };
    const register = () => define(arena).register(Toy, (region) => new Toy(region));
    throwsCode(register, "EINVAL", /another class has that name/);
    throwsCode(() => registerKind("slab", Toy, () => new Toy({} as Region)), "EINVAL");
  });

  it("makes one object a thread, which is found by its handle", () => {
    const kind = toys(917);
    const toy = kind.create(memory(), { size: 3 }, 7);
    assert.deepEqual([...toy.region.words], [7, 0, 0]);
    assert.equal(kind.attach(encode(toy) as Handle), toy);
    assert.equal(kind.bytes({ size: 3 }) - kind.bytes({ size: 2 }), 4);
    assert.equal(kind.create(memory(), {}, 0).region.option, 4);
  });

  it("makes nothing of a handle whose arena is another object, such as itself", () => {
    const kind = toys(931);
    const handle = encode(kind.create(memory(), {}, 0)) as Handle;
    const { words: _, ...data } = handle.data as Record<string, unknown>;
    const circle: { numakitHandle: string; data: Record<string, unknown> } = { ...handle, data };
    circle.data["arena"] = circle;
    throwsCode(() => kind.attach(circle), "EINVAL", /is not a handle of kind "arena"/);
  });

  it("says what was asked with its article", () => {
    const kind = toys(918);
    const none = undefined as unknown as ToyOptions;
    const asked = (action: string): RegExp => new RegExp(`^Cannot ${action} an odd toy: `);
    throwsCode(() => kind.create(memory(), none, 0), "EINVAL", /Give \{ threads, size \}\./);
    throwsCode(() => kind.create(memory(), { size: 1 }, 0), "EINVAL", asked("create"));
    throwsCode(() => kind.bytes({ threads: 0 }), "EINVAL", asked("size"));
    throwsCode(() => kind.attach({} as Handle), "EINVAL", asked("attach"));
    const mine = kind.create(new Int32Array(64), {}, 0);
    throwsCode(() => mine.toHandle(), "EINVAL", asked("share"));
  });

  it("takes no memory before everything is checked", () => {
    const kind = toys(919);
    const words = memory();
    assert.throws(() => kind.create(words, { threads: 2 }, 3), TypeError);
    assert.ok(new Int32Array(words).every((word) => word === 0));
    assert.deepEqual([...kind.create(words, { threads: 2 }, 2).region.words], [2, 0, 0, 0]);
  });

  it("begins with zeros in memory that its arena gives a second time", () => {
    const kind = toys(921);
    using arena = Arena.create({ node: 0, size: "64 KiB" });
    arena.bytes.fill(255);
    assert.deepEqual([...kind.create(arena, { size: 3 }, 7).region.words], [7, 0, 0]);
    arena.reset();
    assert.deepEqual([...kind.create(arena, { size: 2 }, 5).region.words], [5, 0]);
  });

  it("does not attach what somebody has written another option over", () => {
    const kind = toys(920);
    const words = memory();
    const handle = kind.create(words, { size: 9 }, 0).toHandle();
    const head = new Int32Array(words);
    head[head.indexOf(9)] = 1;
    throwsCode(() => kind.attach(handle), "EINVAL", /size is 1\./);
  });
});

describe("the classes of lib/sync and lib/structs", () => {
  it("are all here", () => {
    // A SharedMutex has no region: it lies in an arena, which other processes can have.
    const known = [...Object.keys(made), "SharedMutex"].sort();
    assert.deepEqual([...classes.keys()].sort(), known);
  });

  it("refuse memory that only looks like memory", () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const words = memory();
    const fakes: unknown[] = [
      new Proxy(words, {}),
      new Proxy(new Int32Array(words), {}),
      new Proxy(arena, {}),
      Object.create(arena),
      ...[SharedArrayBuffer, Int32Array, Arena].map(({ prototype }) => Object.create(prototype)),
      Object.setPrototypeOf(new Uint8Array(words), Int32Array.prototype),
      Object.defineProperty({}, "byteLength", { value: words.byteLength }),
    ];
    for (const name of Object.keys(made)) {
      for (const fake of fakes) throwsCode(() => rowOf(name)?.make(() => fake as never), "EINVAL");
    }
    throwsCode(() => sync.SharedMutex.create(Object.create(Arena.prototype)), "EINVAL");
    assert.ok(new Int32Array(words).every((word) => word === 0));
  });

  it("refuse handles whose words or lot only look like that", () => {
    const handle = sync.Mutex.create(memory()).toHandle();
    const data = handle.data as { readonly words: object; readonly lot: object };
    const { words, lot } = data;
    const fakes = [Object.create(Int32Array.prototype), new Proxy(words, {}), Object.create(words)];
    const lots = [Object.create(SharedArrayBuffer.prototype), new Proxy(lot, {})];
    const edits = [...fakes.map((words) => ({ words })), ...lots.map((lot) => ({ lot }))];
    for (const edit of edits) {
      const forged = { ...handle, data: { ...data, ...edit } };
      throwsCode(() => sync.Mutex.fromHandle(forged), "EINVAL");
    }
  });

  it("refuse words that are not all zero, and leave them as they are", () => {
    for (const name of Object.keys(made)) {
      const row = rowOf(name);
      const words = new Int32Array(memory());
      // What has several parts gets them for the first one.
      const make = (): unknown => {
        let parts = 0;
        return row?.make(() => parts++ === 0 ? words.buffer : memory());
      };
      make();
      // All that it has written is put back, but for one word.
      const size = 1 + words.findLastIndex((word) => word !== 0);
      for (const at of [0, 1, size - 1, 40]) {
        words.fill(0);
        words[at] = 7;
        throwsCode(make, "EBUSY", /already in use/);
        assert.equal(words.findIndex((word) => word !== 0), at);
        assert.equal(words.findLastIndex((word) => word !== 0), at);
      }
      words.fill(0);
      assert.equal((make() as object).constructor, made[name]?.().constructor);
    }
  });

  it("do not look at words that they do not take", () => {
    const words = new Int32Array(sync.Mutex.bytes() / 4 + 1);
    words[words.length - 1] = 7;
    sync.Mutex.create(words);
    assert.equal(words.at(-1), 7);
  });

  for (const [name, make] of Object.entries(made)) {
    it(`attach no ${name} as another class, however alike they are`, () => {
      const object = make();
      const handle = object.toHandle();
      assert.equal(classes.get(name)?.fromHandle(handle), object);
      for (const [other, type] of classes) {
        if (other === name) continue;
        throwsCode(() => type.fromHandle(handle), "EINVAL", /is not a handle of kind/);
        // Anybody can write a handle.
        const forged = { ...handle, numakitHandle: other };
        throwsCode(() => type.fromHandle(forged), "EINVAL");
      }
    });
  }
});
