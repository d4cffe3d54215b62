import { CacheCore, FOUND, NONE } from "../../../lib/structs/caches/cache_core.ts";
import { BUSY, MINE } from "../../../lib/structs/caches/cache_flights.ts";
import {
  BUCKET_WORDS,
  BUCKETS_AT,
  type CacheLayout,
  ENTRIES,
  FLIGHTS,
  FLIGHTS_AT,
  GRANULES,
  RESETS,
  VERSION,
} from "../../../lib/structs/caches/cache_table.ts";
import type { Wait, Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const CORE = "lib/structs/caches/cache_core.ts";
const QUEUES = "lib/structs/caches/cache_queues.ts";
const FLIGHTS_FILE = "lib/structs/caches/cache_flights.ts";

const KEY_BYTES = 4;
/** An entry of one word takes two granules, of five or six words three. */
const [SHORT, LONG] = [1, 5];

/** One shard of one bucket, behind the bells. */
function layoutOf(small: number, main: number): CacheLayout {
  const ghostsAt = BUCKETS_AT + BUCKET_WORDS;
  const dataAt = ghostsAt + 4;
  const words = dataAt + (small + main) * 4;
  return {
    ...{ first: 8, bits: 0, words, buckets: 1, ghostsAt, ghosts: 4, dataAt, small, main },
    ...{ most: main, hitsAt: 0, missesAt: 0, bellsAt: 0, bells: 8, all: 8 + words },
  };
}

interface Setting {
  /** Granules of the queues. */
  readonly small: number;
  readonly main: number;
  /** What is in it from the start, written in this order: keys whose value is 10 times the key. */
  readonly keys: readonly number[];
  /** Of these, what has a long value. */
  readonly long?: readonly number[];
  /** Of these, what was read. */
  readonly read?: readonly number[];
}

type Step =
  | { readonly set: number; readonly to: number; readonly long?: true }
  | { readonly remove: number }
  /** What it may be: nothing is 0. */
  | { readonly get: number; readonly allow: readonly number[] }
  /** The same, as the owner of the shard. */
  | { readonly getLocked: number; readonly allow: readonly number[] }
  | { readonly clear: true }
  /** Gets the value, or computes it. */
  | {
    readonly compute: number;
    readonly to: number;
    readonly fails?: true;
    readonly mayGiveUp?: true;
  };

function* locked(me: Waiter, core: CacheCore, hash: number): Wait<void> {
  if (!core.lock(me, hash)) yield* core.wait(me, hash);
}

/** Values have one word, or five of which each is the same. */
function write(
  words: Int32Array,
  core: CacheCore,
  key: Int32Array,
  value: number,
  size: number,
): void {
  const hash = key[0] as number;
  const at = core.place(hash, key, KEY_BYTES, size * 4, 0);
  for (let word = 0; word < size; word++) words[at + word] = value;
  core.commit();
}

/** Hashes are keys; all are in the same bucket. */
function cacheCase(
  options: Omit<Case, "words" | "setup" | "threads">,
  setting: Setting,
  threads: readonly (readonly Step[])[],
  end: Readonly<Record<number, readonly number[]>>,
): Case {
  const layout = layoutOf(setting.small, setting.main);
  const computing = threads.some((steps) => steps.some((step) => "compute" in step));
  return {
    ...options,
    threads: threads.length,
    words: Math.ceil((layout.all + 8) / 32) * 32,
    describe: (word) => `word ${word - layout.first} of the shard`,
    setup(world: World): Program {
      const { words } = world;
      const part = words.subarray(0, layout.all);
      const computedAt = layout.all;
      const make = (): CacheCore => new CacheCore(part, layout, () => 0);
      const key = new Int32Array(1);
      // As somebody who has come and gone.
      const first: Waiter = { ...world.waiter(0), id: 9 };
      const filler = make();
      for (const name of setting.keys) {
        key[0] = name;
        filler.lock(first, name);
        write(part, filler, key, 10 * name, setting.long?.includes(name) === true ? LONG : SHORT);
        filler.unlock();
      }
      for (const name of setting.read ?? []) {
        key[0] = name;
        filler.seek(name, key, KEY_BYTES);
        filler.touch();
      }
      /** What a value is, of which all words have to be the same. */
      const value = (core: CacheCore): number => {
        const size = core.valueBytes / 4;
        const at = core.valueAt;
        const found = part[at] as number;
        let same = true;
        for (let word = 1; word < size; word++) {
          const other = part[at + word] as number;
          if (other !== found) same = false;
        }
        return same ? found : -1;
      };
      const run = (index: number): Thread =>
        function* (): Wait<void> {
          const me = world.waiter(index);
          const core = make();
          const key = new Int32Array(1);
          for (const step of threads[index] as readonly Step[]) {
            if ("get" in step) {
              world.operation("get");
              key[0] = step.get;
              let found = -2;
              for (let round = 0; found === -2 && round < 2; round++) {
                const state = core.seek(step.get, key, KEY_BYTES);
                if (state === FOUND) {
                  const copied = value(core);
                  if (core.isWhole()) {
                    found = copied;
                    core.touch();
                  }
                } else if (state === NONE && core.isWhole()) found = 0;
              }
              // Otherwise it would take the lock: that is another step.
              world.check(found === -2 || step.allow.includes(found), `${step.get} has ${found}`);
              world.note(found);
            } else if ("getLocked" in step) {
              world.operation("get locked");
              key[0] = step.getLocked;
              yield* locked(me, core, step.getLocked);
              const isThere = core.find(step.getLocked, key, KEY_BYTES);
              const found = isThere ? value(core) : 0;
              if (isThere) core.touch();
              core.unlock();
              world.check(step.allow.includes(found), `${step.getLocked} has ${found}`);
              world.note(found);
            } else if ("set" in step) {
              world.operation("set");
              key[0] = step.set;
              yield* locked(me, core, step.set);
              write(part, core, key, step.to, step.long === true ? LONG : SHORT);
              core.unlock();
            } else if ("remove" in step) {
              world.operation("remove");
              key[0] = step.remove;
              yield* locked(me, core, step.remove);
              core.remove(step.remove, key, KEY_BYTES);
              core.unlock();
            } else if ("clear" in step) {
              world.operation("clear");
              yield* locked(me, core, 0);
              core.clear();
              core.unlock();
            } else {
              world.operation("compute");
              key[0] = step.compute;
              const answer = yield* core.join(me, me.id, step.compute, key, KEY_BYTES);
              world.check(answer !== BUSY || step.mayGiveUp === true, "nobody gives up");
              if (answer === MINE) {
                const computed = Atomics.add(words, computedAt, 1);
                world.note(computed);
                if (step.fails !== true) {
                  yield* locked(me, core, step.compute);
                  write(part, core, key, step.to, SHORT);
                  core.unlock();
                }
                core.land(me, me.id, step.compute);
              }
              core.muffle(me);
            }
            world.done();
          }
        };
      return {
        threads: threads.map((_, index) => run(index)),
        end(): void {
          const dead = threads.filter((_, index) => world.killed(index)).length;
          const heir: Waiter = {
            ...world.waiter(0),
            id: 20,
            alive: (id) => id === 20 || (id <= threads.length && !world.killed(id - 1)),
          };
          const core = make();
          const base = layout.first;
          const wasTorn = ((words[base + VERSION] as number) & 1) !== 0;
          world.check(dead > 0 || !wasTorn, "somebody still writes");
          world.check(core.lock(heir, 0), "the shard can be locked");
          world.check(((words[base + VERSION] as number) & 1) === 0, "it is whole then");
          const resets = words[base + RESETS] as number;
          world.check(dead > 0 ? resets <= dead : resets === 0, `it was reset ${resets} times`);
          let entries = 0;
          let granules = 0;
          const key = new Int32Array(1);
          for (const [name, allowed] of Object.entries(end)) {
            key[0] = Number(name);
            const isThere = core.find(Number(name), key, KEY_BYTES);
            const found = isThere ? value(core) : 0;
            const mayBe = allowed.includes(found) || (found === 0 && resets > 0);
            world.check(mayBe, `in the end ${name} has ${found}`);
            if (!isThere) continue;
            entries++;
            granules += core.valueBytes > 4 ? 3 : 2;
          }
          world.check(words[base + ENTRIES] === entries, `${words[base + ENTRIES]} entries`);
          world.check(words[base + GRANULES] === granules, `${words[base + GRANULES]} granules`);
          core.unlock();
          if (!computing) return;
          const computed = words[computedAt] as number;
          world.check(computed > 0, "somebody has computed");
          const failed = threads.flat().filter((step) => "fails" in step).length;
          world.check(computed <= 1 + dead + failed, `it was computed ${computed} times`);
          for (let flight = 0; flight < FLIGHTS; flight++) {
            const owner = words[base + FLIGHTS_AT + 2 * flight] as number;
            world.check(owner === 0 || !heir.alive(owner), "a flight has not ended");
          }
        },
      };
    },
  };
}

const roomy = { small: 4, main: 8 };

const cases: readonly Case[] = [
  cacheCase(
    { name: "a value of five words beside its reader", preemptions: 2 },
    { ...roomy, keys: [1] },
    [[{ set: 1, to: 11, long: true }, { set: 1, to: 12, long: true }], [{
      get: 1,
      allow: [10, 11, 12],
    }]],
    { 1: [12] },
  ),
  cacheCase(
    { name: "entries that go beside a reader", preemptions: 2 },
    { small: 4, main: 4, keys: [1, 2, 3, 4] },
    [[{ set: 5, to: 50 }, { set: 6, to: 60 }], [{ get: 4, allow: [0, 40] }, {
      get: 2,
      allow: [0, 20],
    }]],
    { 1: [0, 10], 2: [0, 20], 3: [0], 4: [0, 40], 5: [50], 6: [60] },
  ),
  cacheCase(
    {
      name: "entries that are read, and stay, beside a reader",
      preemptions: 1,
      fullPreemptions: 2,
    },
    { small: 4, main: 5, keys: [1, 2, 3, 4], read: [1, 3] },
    [[{ set: 5, to: 50 }, { set: 6, to: 60 }], [{ get: 1, allow: [10] }, {
      get: 3,
      allow: [30],
    }]],
    { 1: [10], 2: [0], 3: [30], 4: [0], 5: [50], 6: [60] },
  ),
  cacheCase(
    { name: "an entry that moves over itself, beside its reader", preemptions: 1 },
    { small: 4, main: 6, keys: [1, 2, 3, 4], long: [1], read: [2, 3, 4] },
    [[{ set: 5, to: 50 }, { set: 6, to: 60 }], [{ get: 2, allow: [20] }]],
    { 1: [0], 2: [20], 3: [30], 4: [40], 5: [50], 6: [60] },
  ),
  cacheCase(
    { name: "two that write", preemptions: 2 },
    { ...roomy, keys: [1] },
    [[{ set: 1, to: 11 }, { remove: 2 }], [{ set: 2, to: 20 }, { get: 1, allow: [10, 11] }]],
    { 1: [11], 2: [0, 20] },
  ),
  cacheCase(
    { name: "a key that goes and comes back beside its reader", preemptions: 2 },
    { ...roomy, keys: [1, 2] },
    [[{ remove: 1 }, { set: 3, to: 30 }, { clear: true }, { set: 1, to: 11 }], [
      { get: 1, allow: [0, 10, 11] },
      { get: 2, allow: [0, 20] },
    ]],
    { 1: [11], 2: [0], 3: [0] },
  ),
  cacheCase(
    { name: "a reader that takes the lock", preemptions: 2 },
    { ...roomy, keys: [1] },
    [[{ set: 1, to: 11, long: true }], [{ getLocked: 1, allow: [10, 11] }], [{
      getLocked: 1,
      allow: [10, 11],
    }]],
    { 1: [11] },
  ),
  cacheCase(
    { name: "who writes dies", preemptions: 1, kills: 1, victim: 0 },
    { small: 4, main: 4, keys: [1, 2, 3], read: [1, 2] },
    [[{ set: 4, to: 40 }, { set: 3, to: 31, long: true }], [
      { get: 1, allow: [0, 10] },
      { set: 2, to: 21 },
      { getLocked: 3, allow: [0, 30, 31] },
    ]],
    { 1: [0, 10], 2: [0, 21], 3: [0, 30, 31], 4: [0, 40] },
  ),
  cacheCase(
    {
      name: "who writes over a value dies, beside its reader",
      preemptions: 1,
      kills: 1,
      victim: 0,
    },
    { ...roomy, keys: [1], long: [1] },
    [[{ set: 1, to: 11, long: true }], [{ remove: 2 }], [{ get: 1, allow: [0, 10, 11] }]],
    { 1: [0, 10, 11] },
  ),
  cacheCase(
    { name: "who takes out, or clears, dies", preemptions: 1, kills: 1, victim: 0 },
    { ...roomy, keys: [1, 2] },
    [[{ remove: 1 }, { clear: true }], [{ get: 2, allow: [0, 20] }, {
      getLocked: 1,
      allow: [0, 10],
    }]],
    { 1: [0, 10], 2: [0, 20] },
  ),
  cacheCase(
    { name: "one computes", preemptions: 2 },
    { ...roomy, keys: [] },
    [[{ compute: 1, to: 11 }], [{ compute: 1, to: 11 }], [{ compute: 1, to: 11 }]],
    { 1: [11] },
  ),
  cacheCase(
    { name: "one fails, and another computes", preemptions: 2 },
    { ...roomy, keys: [] },
    [[{ compute: 1, to: 11, fails: true }], [{ compute: 1, to: 11 }]],
    { 1: [0, 11] },
  ),
  cacheCase(
    { name: "one gives up", preemptions: 1, timeouts: 1 },
    { ...roomy, keys: [] },
    [[{ compute: 1, to: 11, fails: true, mayGiveUp: true }], [
      { compute: 1, to: 11, mayGiveUp: true },
    ]],
    { 1: [0, 11] },
  ),
  cacheCase(
    {
      ...{ name: "who computes dies", preemptions: 1, kills: 1, victim: 0 },
    },
    { ...roomy, keys: [] },
    [[{ compute: 1, to: 11 }], [{ compute: 1, to: 11 }]],
    { 1: [11] },
  ),
];

const core: readonly Omit<Mutant, "file">[] = [
  {
    name: "a reader does not look whether what it saw was whole",
    find: "return loadShared(words, at) === version;",
    replace: "return true;",
  },
  {
    name: "a reader reads while somebody writes",
    find: "if ((version & 1) !== 0) return AGAIN;\n    return",
    replace: "return",
  },
  {
    name: "nobody says that he writes",
    find: "Atomics.store(words, at, this.#version | 1);",
    replace: "",
  },
  {
    name: "the version is the same after a write",
    find: "(this.#version + 2) & ~1",
    replace: "this.#version & ~1",
  },
  {
    name: "what a dead writer left stays",
    find: "if (isTorn || !this",
    replace: "if (!this",
  },
  {
    name: "the shard is whole for readers before it is empty",
    find: "      this.reset();\n      this.commit();",
    replace: "      this.commit();\n      this.reset();",
  },
  {
    name: "a dead owner is waited for",
    find: "if (me.alive(owner & ID_MASK)) return false;",
    replace: "return false;",
  },
  {
    name: "a living owner's word is taken",
    find: "if (me.alive(owner & ID_MASK)) return false;",
    replace: "",
  },
  {
    name: "looks whether it is free, and takes it then",
    find: "let owner = Atomics.compareExchange(words, at, 0, me.id);",
    replace:
      "let owner = Atomics.load(words, at);\n    if (owner === 0) Atomics.store(words, at, me.id);",
  },
  {
    name: "unlocks before it is done",
    find: "    this.#queues.free(this.#base, this.#bucket, this.#place);\n    this.commit();",
    replace:
      "    this.unlock();\n    this.#queues.free(this.#base, this.#bucket, this.#place);\n    this.commit();",
  },
  {
    name: "an emptied shard still has entries",
    find: "for (let at = from; at < end; at++) words[at] = 0;",
    replace: "",
  },
  {
    name: "an emptied shard forgets its queues alone",
    find: "words[base + ENTRIES] = 0;",
    replace: "",
  },
  {
    name: "looks for the value before it listens",
    find: `      this.#flights.listen(me);
      if (this.lock(me, hash)) {`,
    replace: "      if (this.lock(me, hash)) {",
  },
  {
    name: "gives up, and has the flight",
    find:
      "const answer = isThere ? THERE : over ? BUSY : this.#flights.claim(me, owner, base, hash);",
    replace: "const answer = isThere ? THERE : this.#flights.claim(me, owner, base, hash);\n" +
      "        if (over) { this.unlock(); return BUSY; }",
  },
  {
    name: "who waits does not look for the value again",
    find: "const answer = isThere ? THERE :",
    replace: "const answer = false ? THERE :",
  },
];

function mutant(name: string, find: string, replace: string): Omit<Mutant, "file"> {
  return { name, find, replace };
}
const queues: readonly Omit<Mutant, "file">[] = [
  mutant(
    "an entry that moves is still looked for where it was",
    "words[bucket + place] = ((words[bucket + place] as number) & ~mask) | (to + 1);",
    "",
  ),
  mutant(
    "an entry that moves is copied downwards over itself",
    "words[target + word] = words[source + word] as number;",
    "words[target + count - 1 - word] = words[source + count - 1 - word] as number;",
  ),
  mutant(
    "what goes can still be found",
    "    words[bucket + place] = 0;\n    if (granule",
    "    if (granule",
  ),
  mutant(
    "the small queue's oldest is passed and not looked for",
    "    if (place !== 0 && !this.#expires(base, bucket, place, at)) {",
    "    if (place > PLACES) {",
  ),
  mutant(
    "what was read goes, too",
    "if (isRead || this.#mainHasRoom(base, size)) {",
    "if (this.#mainHasRoom(base, size)) {",
  ),
  mutant("what is put in again is not counted in", "words[queue + USED] = used + skipped;", ""),
  mutant(
    "the end of a ring is not skipped",
    "const skipped = head + need > size ? size - head : 0;",
    "const skipped = 0;",
  ),
];

const flights: readonly Omit<Mutant, "file">[] = [
  mutant("two take the same flight", "else if (words[at + 1] === hash) return BUSY;", ""),
  mutant(
    "a dead thread's flight is waited for",
    "if (holder === 0 || !me.alive(holder & ID_MASK)) free = at;",
    "if (holder === 0) free = at;",
  ),
  mutant(
    "a flight does not end",
    "if (words[at + 1] === hash) Atomics.compareExchange(words, at, owner, 0);",
    "",
  ),
  mutant("nobody is woken", "if (id !== 0) me.unpark(id);", ""),
];

const inFile = (file: string, mutants: readonly Omit<Mutant, "file">[]): Mutant[] =>
  mutants.map((mutant) => ({ file, ...mutant }));

/** Readers, writers, computations, and what dies in them. */
export const specs: readonly Spec[] = [{
  name: "CacheCore",
  cases,
  mutants: [
    ...inFile(CORE, core),
    ...inFile(QUEUES, queues),
    ...inFile(FLIGHTS_FILE, flights),
  ],
  plainSteps: [CORE, QUEUES, FLIGHTS_FILE, "tests/explorer/specs/cache.ts"],
}];
