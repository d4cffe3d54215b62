import { FULL } from "../../../lib/structs/maps/map_chains.ts";
import { MapCore } from "../../../lib/structs/maps/map_core.ts";
import {
  bucketAt,
  ENTRIES,
  GROWN,
  type MapLayout,
  META,
  NEXT,
  OWNER,
  VERSION_UNIT,
} from "../../../lib/structs/maps/map_table.ts";
import type { Wait, Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

/** Values of two words, which are the same; of one they are what they are. */
function layoutOf(entries: number, valueWords: number, most: number, spares: number): MapLayout {
  const entryWords = 1 + valueWords;
  const bucketWords = ENTRIES + entries * entryWords;
  const all = most + spares;
  return {
    ...{ entryWords, bucketWords, entries, most, all },
    first: 1,
    words: bucketAt(all, bucketWords),
  };
}

/** A key is its own hash. */
const hasher = { hash: (words: Int32Array, at: number): number => words[at] as number };

interface Setting {
  readonly entries: number;
  readonly valueWords: number;
  readonly most: number;
  readonly spares: number;
  /** How many buckets there are from the start: 1 or 2. Default: 1. */
  readonly buckets?: number;
  /** What is in them, and in those chained to them: keys whose value is 10 times the key. */
  readonly keys: readonly number[];
}

type Step =
  | { readonly set: number; readonly to: number }
  | { readonly add: number }
  | { readonly remove: number }
  /** What it may be: nothing is 0. */
  | { readonly get: number; readonly allow: readonly number[] }
  /** All keys of a batch. */
  | { readonly getAll: readonly number[]; readonly allow: readonly number[] }
  /** Splits a bucket, if nobody else does. */
  | { readonly grow: true }
  /** All entries: keys that are there once each. */
  | { readonly all: readonly number[] };

function* locked(me: Waiter, core: MapCore, key: Int32Array): Wait<void> {
  if (!core.lock(me, key)) yield* core.wait(me, key);
}

/** Writes what is there from the start. */
function fill(words: Int32Array, layout: MapLayout, { buckets = 1, keys, most }: Setting): void {
  words[GROWN] = buckets - 1;
  let spare = most;
  for (let place = 0; place < buckets; place++) {
    let bucket = bucketAt(place, layout.bucketWords);
    let entry = 0;
    for (const key of keys.filter((key) => key % buckets === place)) {
      if (entry === layout.entries) {
        words[bucket + NEXT] = spare;
        bucket = bucketAt(spare++, layout.bucketWords);
        words[bucket + OWNER] = 1 + place;
        entry = 0;
      }
      const at = bucket + ENTRIES + entry * layout.entryWords;
      words[at] = key;
      words.fill(10 * key, at + 1, at + layout.entryWords);
      words[bucket + META] = VERSION_UNIT | ((2 << entry++) - 1);
    }
  }
}

/** Spare buckets that are taken, those that are in chains, and the entries of all chains. */
function census(
  words: Int32Array,
  layout: MapLayout,
  buckets: number,
): { readonly taken: number; readonly linked: number; readonly entries: number } {
  const at = (bucket: number): number => bucketAt(bucket, layout.bucketWords);
  let [taken, linked, entries] = [0, 0, 0];
  for (let spare = layout.most; spare < layout.all; spare++) {
    if (words[at(spare) + OWNER] !== 0) taken++;
  }
  for (let place = 0; place < buckets; place++) {
    for (let bucket = at(place);; linked++) {
      for (let bits = (words[bucket + META] as number) & 0xff; bits !== 0; bits &= bits - 1) {
        entries++;
      }
      const next = words[bucket + NEXT] as number;
      if (next === 0) break;
      bucket = at(next);
    }
  }
  return { taken, linked, entries };
}

/** Threads that read and write; what is there in the end is one of what is allowed, for each key. */
function steps(
  options: Omit<Case, "words" | "setup" | "threads">,
  setting: Setting,
  threads: readonly (readonly Step[])[],
  end: Readonly<Record<number, readonly number[]>>,
): Case {
  const layout = layoutOf(setting.entries, setting.valueWords, setting.most, setting.spares);
  const { valueWords } = setting;
  return {
    ...options,
    threads: threads.length,
    words: Math.ceil(layout.words / 32) * 32,
    describe(word: number): string {
      const first = bucketAt(0, layout.bucketWords);
      if (word < first) return word === GROWN ? "grown" : `words[${word}]`;
      const bucket = Math.floor((word - first) / layout.bucketWords);
      const at = (word - first) % layout.bucketWords;
      const name = { [OWNER]: "owner", [META]: "meta", [NEXT]: "next" }[at] ?? `entry word ${at}`;
      return `${name} of ${bucket}`;
    },
    setup(world: World): Program {
      const { words } = world;
      fill(words, layout, setting);
      const run = (index: number): Thread =>
        function* (): Wait<void> {
          const me = world.waiter(index);
          const core = new MapCore(words.subarray(0, layout.words), {
            layout,
            keyWords: 1,
            hasher,
          });
          const key = new Int32Array(1);
          const value = new Int32Array(valueWords);
          for (const step of threads[index] as readonly Step[]) {
            if ("grow" in step) {
              world.operation("grow");
              core.grow(me);
            } else if ("get" in step) {
              world.operation("get");
              key[0] = step.get;
              const found = core.get(key, 0, value, 0) ? value[0] as number : 0;
              world.check(!found || value.every((word) => word === found), "half a value");
              world.check(step.allow.includes(found), `key ${step.get} has ${found}`);
              world.note(found);
            } else if ("getAll" in step) {
              world.operation("batch");
              const values = new Int32Array(step.getAll.length * valueWords);
              const keys = Int32Array.from(step.getAll);
              const bits = core.getBatch(keys, keys.length, values);
              for (let at = 0; at < keys.length; at++) {
                const found = (bits >>> at) & 1 ? values[at * valueWords] as number : 0;
                const last = values[(at + 1) * valueWords - 1];
                world.check(found === 0 || last === found, "half a value");
                world.check(step.allow.includes(found), `key ${keys[at]} has ${found}`);
                world.note(found);
              }
            } else if ("all" in step) {
              world.operation("all");
              const buckets = core.buckets();
              const found: number[] = [];
              for (let place = 0; place < buckets; place++) {
                const copied = core.copy(place, buckets);
                for (let at = 0; at < copied.length; at += 1 + valueWords) {
                  found.push(copied[at] as number);
                }
              }
              const isRight = step.all.every((wanted) =>
                found.filter((k) => k === wanted).length === 1
              );
              world.check(isRight, `${found} are there`);
              for (const k of found) world.note(k);
            } else if ("remove" in step) {
              world.operation("remove");
              key[0] = step.remove;
              yield* locked(me, core, key);
              core.remove(key);
              core.unlock();
            } else {
              world.operation("set");
              key[0] = "set" in step ? step.set : step.add;
              yield* locked(me, core, key);
              if ("set" in step) value.fill(step.to);
              else {
                core.read(key, value);
                value.fill(value[0] as number + 1);
              }
              world.check(core.assign(key, value) !== FULL, "there is room");
              core.unlock();
            }
            world.done();
          }
        };
      return {
        threads: threads.map((_, index) => run(index)),
        end(): void {
          // Whoever comes next takes what the dead left, and finds each key once.
          const heir: Waiter = {
            ...world.waiter(0),
            id: 20,
            alive: (id) => id === 20 || (id <= threads.length && !world.killed(id - 1)),
          };
          const core = new MapCore(words.subarray(0, layout.words), {
            layout,
            keyWords: 1,
            hasher,
          });
          const key = new Int32Array(1);
          const value = new Int32Array(valueWords);
          const there: number[] = [];
          for (const [name, allowed] of Object.entries(end)) {
            key[0] = Number(name);
            const found = core.get(key, 0, value, 0) ? value[0] as number : 0;
            world.check(allowed.includes(found), `in the end key ${name} has ${found}`);
            world.check(core.lock(heir, key), "the chain can be locked");
            const same = core.read(key, value) ? value[0] as number : 0;
            world.check(same === found, `key ${name} has ${found}, and ${same} when it is locked`);
            core.unlock();
            if (found !== 0) there.push(Number(name));
          }
          const buckets = core.buckets();
          const all: number[] = [];
          for (let place = 0; place < buckets; place++) {
            const copied = core.copy(place, buckets);
            for (let at = 0; at < copied.length; at += 1 + valueWords) {
              all.push(copied[at] as number);
            }
          }
          const isOrdered = !threads.flat().some((step) => "grow" in step) ||
            threads.every((_, index) => !world.killed(index));
          if (isOrdered) {
            const { taken, linked, entries } = census(words, layout, buckets);
            world.check(taken === linked, `${taken} spare buckets are taken, ${linked} linked`);
            world.check(entries === all.length, `${entries} entries, of which ${all.length} count`);
          }
          all.sort((one, other) => one - other);
          world.check(String(all) === String(there), `${all} are there, and ${there} are found`);
        },
      };
    },
  };
}

const one = { entries: 1, valueWords: 1, most: 4, spares: 3 };
const two = { entries: 2, valueWords: 2, most: 2, spares: 2 };

const cases: readonly Case[] = [
  steps(
    { name: "a value of two words beside its reader", preemptions: 3 },
    { ...two, keys: [2] },
    [[{ set: 2, to: 21 }, { set: 2, to: 22 }], [{ get: 2, allow: [20, 21, 22] }]],
    { 2: [22] },
  ),
  steps(
    { name: "a place that another key takes", preemptions: 3 },
    { ...one, keys: [1] },
    [[{ remove: 1 }, { set: 2, to: 20 }, { remove: 2 }, { set: 1, to: 11 }], [
      { get: 1, allow: [0, 10, 11] },
      { get: 2, allow: [0, 20] },
    ]],
    { 1: [11], 2: [0] },
  ),
  steps(
    { name: "two that add", preemptions: 3 },
    { ...one, keys: [1] },
    [[{ add: 1 }, { add: 1 }], [{ add: 1 }], [{ get: 1, allow: [10, 11, 12, 13] }]],
    { 1: [13] },
  ),
  steps(
    { name: "it grows beside a reader", preemptions: 3 },
    { ...one, keys: [1, 2, 3] },
    [[{ grow: true }, { grow: true }], [{ get: 1, allow: [10] }, { get: 3, allow: [30] }]],
    { 1: [10], 2: [20], 3: [30] },
  ),
  steps(
    { name: "it grows beside a batch, and beside all", preemptions: 2 },
    { ...one, keys: [1, 2, 3] },
    [[{ grow: true }, { grow: true }], [{ getAll: [1, 2, 3], allow: [10, 20, 30] }, {
      all: [1, 2, 3],
    }]],
    { 1: [10], 2: [20], 3: [30] },
  ),
  steps(
    { name: "it grows beside all", preemptions: 2 },
    { ...one, keys: [1, 2, 3] },
    [[{ grow: true }], [{ all: [1, 2, 3] }]],
    { 1: [10], 2: [20], 3: [30] },
  ),
  steps(
    { name: "it grows beside two that add", preemptions: 2 },
    { ...one, keys: [2, 3] },
    [[{ grow: true }], [{ add: 3 }], [{ add: 3 }]],
    { 2: [20], 3: [32] },
  ),
  steps(
    { name: "a value in a spare bucket beside its readers", preemptions: 3 },
    { ...two, keys: [2, 4, 6] },
    [[{ set: 6, to: 61 }, { set: 6, to: 62 }], [{ get: 6, allow: [60, 61, 62] }], [
      { getAll: [6, 2], allow: [20, 60, 61, 62] },
    ]],
    { 2: [20], 4: [40], 6: [62] },
  ),
  steps(
    { name: "two chains, and spare buckets that go from one to the other", preemptions: 2 },
    { ...one, buckets: 2, keys: [1, 2, 3] },
    [[{ remove: 3 }, { set: 5, to: 50 }], [{ set: 4, to: 40 }, { set: 6, to: 60 }]],
    { 1: [10], 2: [20], 3: [0], 4: [40], 5: [50], 6: [60] },
  ),
  steps(
    { name: "it grows beside writers", preemptions: 2 },
    { ...one, keys: [1, 2] },
    [[{ grow: true }, { grow: true }], [{ set: 1, to: 11 }, { remove: 2 }, { set: 3, to: 30 }], [
      { get: 1, allow: [10, 11] },
    ]],
    { 1: [11], 2: [0], 3: [30] },
  ),
  steps(
    { name: "two that make it grow", preemptions: 2 },
    { ...one, keys: [1, 2, 3] },
    [[{ grow: true }, { get: 1, allow: [10] }], [{ grow: true }, { set: 3, to: 31 }]],
    { 1: [10], 2: [20], 3: [31] },
  ),
  steps(
    { name: "who makes it grow dies", preemptions: 2, kills: 1, victim: 0 },
    { ...one, spares: 6, keys: [1, 2, 3] },
    [[{ grow: true }], [{ set: 3, to: 31 }, { grow: true }, { get: 1, allow: [10] }]],
    { 1: [10], 2: [20], 3: [31] },
  ),
  steps(
    { name: "who writes two words dies", preemptions: 2, kills: 1, victim: 0 },
    { ...two, keys: [2, 4, 6] },
    [[{ set: 4, to: 41 }, { set: 2, to: 21 }], [{ get: 2, allow: [20, 21] }, { set: 4, to: 42 }]],
    { 2: [20, 21], 4: [42, 41], 6: [60] },
  ),
  steps(
    {
      name: "who takes a spare bucket, or gives one back, dies",
      preemptions: 2,
      kills: 1,
      victim: 0,
    },
    { ...one, keys: [1, 2] },
    [[{ set: 3, to: 30 }, { remove: 2 }], [{ remove: 1 }, { get: 2, allow: [0, 20] }]],
    { 1: [0], 2: [0, 20], 3: [0, 30] },
  ),
];

const core: readonly Omit<Mutant, "file">[] = [
  {
    name: "a reader does not look whether what it saw was whole",
    find: "      if (loadShared(words, head + META) !== meta) continue;\n",
    replace: "",
  },
  {
    name: "who finds nothing does not look whether the map has grown",
    find: "if (found || loadFollowing(words, GROWN) === grown) return found;",
    replace: "return found;",
  },
  {
    name: "a batch does not look whether the map has grown",
    find: "if (isWhole && (isSame || (found & bit) !== 0)) continue;",
    replace: "if (isWhole) continue;",
  },
  {
    name: "a batch does not look whether what it saw was whole",
    find: "if (isWhole && (isSame",
    replace: "if ((isSame",
  },
  {
    name: "a bucket is locked that the key has left",
    find: "if (placeOf(hash, this.buckets()) === place) return true;",
    replace: "return true;",
  },
  {
    name: "what a dead owner left is not repaired",
    find: "if (before !== 0) this.#chains.repair(place, this.buckets());",
    replace: "",
  },
  {
    name: "a dead owner is waited for",
    find: "if (me.alive(owner)) return -1;",
    replace: "return -1;",
  },
  {
    name: "all are copied from before and after a split",
    find: "if (loadShared(words, GROWN) === grown) return entries;",
    replace: "return entries;",
  },
  {
    name: "a chain is copied while it changes",
    find: "if (loadShared(words, head + META) === meta) return;",
    replace: "return;",
  },
  {
    name: "what has moved is copied in both places",
    find: "if (isHere && !this.#isIn",
    replace: "if (!this.#isIn",
  },
  {
    name: "what is there twice is copied twice",
    find: "if (isHere && !this.#isIn(entries, before)) entries",
    replace: "if (isHere) entries",
  },
];

const chains: readonly Omit<Mutant, "file">[] = [
  {
    name: "a place is used again in the same version",
    find: "(((meta | come) & ~go) + VERSION_UNIT) | 0",
    replace: "(meta | come) & ~go",
  },
  {
    name: "a chain changes and its version does not",
    find: "if (bucket !== head) this.#commit(head, head, 0, 0);",
    replace: "",
  },
  {
    name: "a value goes before the new one comes",
    find: "this.#commit(head, bucket, 1 << free, 1 << entry);",
    replace:
      "this.#commit(head, bucket, 0, 1 << entry);\n      this.#commit(head, bucket, 1 << free, 0);",
  },
  {
    name: "a value of two words is written where it is read",
    find:
      "    if (at !== 0 && this.#slack === 0) {\n      Atomics.store(words, at + keyWords, value[0] as number);",
    replace:
      "    if (at !== 0) {\n      for (let w = 0; w < value.length; w++) Atomics.store(words, at + keyWords + w, value[w] as number);",
  },
  {
    name: "what moves is taken out before the new bucket is there",
    find: `      Atomics.store(words, GROWN, buckets + 1 - first);
      this.#sweep(old, from, buckets + 1);`,
    replace: `      this.#sweep(old, from, buckets + 1);
      Atomics.store(words, GROWN, buckets + 1 - first);`,
  },
  {
    name: "what moves stays in the old bucket",
    find: `      this.#sweep(old, from, buckets + 1);
      this.#pull(old);`,
    replace: "      this.#pull(old);",
  },
  {
    name: "the new bucket is not locked",
    find: "Atomics.exchange(words, fresh + OWNER, me.id);",
    replace: "Atomics.load(words, fresh + OWNER);",
  },
  {
    name: "what a dead one has put into the new bucket stays",
    find: "    if (before !== 0) this.#clear(fresh);\n",
    replace: "",
  },
  {
    name: "a spare bucket is given back before it is out of the chain",
    find: `        Atomics.store(words, last + NEXT, words[bucket + NEXT] as number);
        this.#commit(head, head, 0, 0);
        Atomics.store(words, bucket + OWNER, 0);`,
    replace: `        Atomics.store(words, bucket + OWNER, 0);
        Atomics.store(words, last + NEXT, Atomics.load(words, bucket + NEXT));
        this.#commit(head, head, 0, 0);`,
  },
  {
    name: "two take the same spare bucket",
    find: "if (Atomics.compareExchange(words, at, 0, owner) !== 0) continue;",
    replace: "Atomics.store(words, at, owner);",
  },
  {
    name: "spare buckets of the dead are lost",
    find: "    this.#unlinkEmpty(head);\n    this.#reclaim(head, place);",
    replace: "    this.#unlinkEmpty(head);",
  },
  {
    name: "what is there twice stays",
    find:
      "      this.#commit(head, bucket, 0, 1 << entry);\n    });\n    this.#unlinkEmpty(head);\n    this.#reclaim",
    replace: "    });\n    this.#unlinkEmpty(head);\n    this.#reclaim",
  },
  {
    name: "an entry is taken out before it is where it moves to",
    find: `      this.#commit(head, room, 1 << free, 0);
      this.#commit(head, bucket, 0, 1 << entry);`,
    replace: `      this.#commit(head, bucket, 0, 1 << entry);
      this.#commit(head, room, 1 << free, 0);`,
  },
];

export const specs: readonly Spec[] = [{
  name: "MapCore",
  cases,
  mutants: [
    ...core.map((mutant) => ({ file: "lib/structs/maps/map_core.ts", ...mutant })),
    ...chains.map((mutant) => ({ file: "lib/structs/maps/map_chains.ts", ...mutant })),
  ],
}];
