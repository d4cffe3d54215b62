import type { FarBytes } from "../../../lib/structs/maps/far/far_bytes.ts";
import { FarCore, NO_BLOCKS } from "../../../lib/structs/maps/far/far_core.ts";
import { FarHeap, type HeapShape, heapWords } from "../../../lib/structs/maps/far/far_heap.ts";
import { FULL } from "../../../lib/structs/maps/map_chains.ts";
import { MapCore } from "../../../lib/structs/maps/map_core.ts";
import { bucketAt, ENTRIES, type MapLayout } from "../../../lib/structs/maps/map_table.ts";
import type { Wait, Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const HEAP = "lib/structs/maps/far/far_heap.ts";
const CORE = "lib/structs/maps/far/far_core.ts";
const MAP = "lib/structs/maps/map_core.ts";

const hasher = { hash: (words: Int32Array, at: number): number => words[at] as number };
const BLOCK_WORDS = 2;

interface Setting {
  /** Whether keys are outside of the buckets: all odd ones have the same marks then, and all even ones. */
  readonly isKey: boolean;
  /** Whether values are. */
  readonly isValue: boolean;
  readonly blocks: number;
  /** Entries of a bucket. */
  readonly entries: number;
  /** The most buckets; it begins with one, or with as many if it says so. */
  readonly most: number;
  readonly first?: number;
  /** Values that are there from the start, and who put them in: a thread, which is dead if there is none. */
  readonly there: readonly (readonly [key: number, value: number, by?: number])[];
}

type Step =
  | { readonly set: number; readonly to: number; readonly full?: true }
  | { readonly remove: number }
  /** What it may be: nothing is 0. */
  | { readonly get: number; readonly allow: readonly number[] }
  /** Sets free what the dead have left. */
  | { readonly sweep: true }
  | { readonly grow: true };

/** One word for an even number, three for an odd one: in one block, or two. */
function fill(bytes: FarBytes, number: number): void {
  const words = number & 1 ? 3 : 1;
  bytes.reserve(4 * words);
  bytes.words.fill(number, 0, words);
  bytes.end(4 * words);
}

function keyOf({ isKey }: Setting, core: FarCore, key: number): Int32Array {
  if (!isKey) return Int32Array.of(key);
  core.key.reserve(4);
  core.key.words[0] = key;
  core.key.end(4);
  return Int32Array.of(key & 1, 7, 0);
}

interface Laid {
  readonly layout: MapLayout;
  readonly heap: HeapShape;
  readonly keyWords: number;
  readonly valueWords: number;
}

function lay({ isKey, isValue, blocks, entries, most, first = 1 }: Setting): Laid {
  const keyWords = isKey ? 3 : 1;
  const valueWords = (isKey ? 2 : 0) + (isValue ? 2 : 1);
  const entryWords = keyWords + valueWords;
  const bucketWords = ENTRIES + entries * entryWords;
  const all = most + 2;
  const words = bucketAt(all, bucketWords);
  return {
    layout: { entryWords, bucketWords, entries, most, all, first, words },
    heap: { blocks, blockWords: BLOCK_WORDS },
    ...{ keyWords, valueWords },
  };
}

interface Cores {
  readonly core: FarCore;
  readonly heap: FarHeap;
}

function coreOf(
  world: World,
  setting: Setting,
  { layout, heap, keyWords, valueWords }: Laid,
): Cores {
  const { isKey, isValue } = setting;
  const buckets = new MapCore(world.words.subarray(0, layout.words), { layout, keyWords, hasher });
  const end = layout.words + heapWords(heap);
  const blocks = new FarHeap(world.words.subarray(layout.words, end), heap, 0);
  const lock = (): void => world.check(false, "a reader looks as often as that");
  const core = new FarCore(buckets, blocks, { isKey, isValue, keyWords, valueWords, lock });
  return { core, heap: blocks };
}

/** What a key has, read without a lock; 0: nothing. */
function valueOf(world: World, setting: Setting, core: FarCore, key: number): number {
  const value = new Int32Array(1);
  if (!core.get(keyOf(setting, core, key), 0, value, 0)) return 0;
  if (!setting.isValue) return value[0] as number;
  const { foundValue: found } = core;
  const number = found.words[0] as number;
  world.check(found.count() === (number & 1 ? 3 : 1), `${found.count()} words of ${number}`);
  for (let word = 0; word < found.count(); word++) {
    world.check(found.words[word] === number, "half a value");
  }
  return number;
}

function* locked(me: Waiter, core: FarCore, key: Int32Array): Wait<void> {
  if (!core.lock(me, key)) yield* core.wait(me, key);
}

function steps(
  options: Omit<Case, "words" | "setup" | "threads">,
  setting: Setting,
  threads: readonly (readonly Step[])[],
  end: Readonly<Record<number, readonly number[]>>,
): Case {
  const laid = lay(setting);
  const { layout, heap: shape } = laid;
  const states = layout.words;
  const blocks = states + heapWords({ ...shape, blocks: 0 }) +
    Math.ceil(shape.blocks / 16) * 16;
  return {
    ...options,
    threads: threads.length,
    words: Math.ceil((layout.words + heapWords(shape)) / 32) * 32,
    describe(word: number): string {
      if (word >= blocks) return `block ${(word - blocks) >> 1}, word ${(word - blocks) & 1}`;
      if (word >= states) return `state of ${word - states}`;
      const first = bucketAt(0, layout.bucketWords);
      if (word < first) return `words[${word}]`;
      const at = (word - first) % layout.bucketWords;
      return `${["owner", "meta", "next"][at] ?? `entry word ${at}`} of ${
        Math.floor((word - first) / layout.bucketWords)
      }`;
    },
    setup(world: World): Program {
      const put = (cores: Cores, me: Waiter, key: number, value: number): void => {
        const { core } = cores;
        const words = keyOf(setting, core, key);
        fill(core.value, value);
        world.check(core.lock(me, words), "nobody else is there");
        core.assign(words, Int32Array.of(value));
        core.unlock();
      };
      for (const [key, value, by = 20] of setting.there) {
        const me: Waiter = { ...world.waiter(0), id: by === 20 ? 20 : by + 1 };
        put(coreOf(world, setting, laid), me, key, value);
      }
      const run = (index: number): Thread =>
        function* (): Wait<void> {
          const given = world.waiter(index);
          // Whoever has put in what is there from the start is dead.
          const me: Waiter = {
            ...{ id: given.id, slot: given.slot, domain: given.domain },
            spin: (round) => given.spin(round),
            unpark: (slot) => given.unpark(slot),
            alive: (id) => id !== 20 && given.alive(id),
            now: () => given.now(),
          };
          const { core } = coreOf(world, setting, laid);
          for (const step of threads[index] as readonly Step[]) {
            if ("grow" in step) {
              world.operation("grow");
              core.grow(me);
            } else if ("sweep" in step) {
              world.operation("sweep");
              const freed = yield* core.sweep(me);
              world.note(freed);
            } else if ("get" in step) {
              world.operation("get");
              const found = valueOf(world, setting, core, step.get);
              world.check(step.allow.includes(found), `key ${step.get} has ${found}`);
              world.note(found);
            } else if ("remove" in step) {
              world.operation("remove");
              const key = keyOf(setting, core, step.remove);
              yield* locked(me, core, key);
              core.remove(key);
              core.unlock();
            } else {
              world.operation("set");
              const key = keyOf(setting, core, step.set);
              fill(core.value, step.to);
              yield* locked(me, core, key);
              const outcome = core.assign(key, Int32Array.of(step.to));
              core.unlock();
              world.check(outcome !== FULL, "there is room in the buckets");
              world.check(outcome !== NO_BLOCKS || step.full === true, "there are blocks");
              world.note(outcome);
            }
            world.done();
          }
        };
      return {
        threads: threads.map((_, index) => run(index)),
        end(): void {
          const me: Waiter = {
            ...world.waiter(0),
            id: 21,
            alive: (id) => id === 21 || (id <= threads.length && !world.killed(id - 1)),
          };
          const { core, heap } = coreOf(world, setting, laid);
          let used = 0;
          for (const [name, allowed] of Object.entries(end)) {
            const key = Number(name);
            const found = valueOf(world, setting, core, key);
            world.check(allowed.includes(found), `in the end key ${name} has ${found}`);
            if (found === 0) continue;
            used += (setting.isKey ? 1 : 0) + (setting.isValue ? 1 + (found & 1) : 0);
          }
          const sweep = core.sweep(me);
          world.check(sweep.next().done === true, "no chain is locked for ever");
          const blocks = heap.used();
          world.check(blocks === used, `${blocks} blocks are taken, and ${used} in use`);
          for (const [name, allowed] of Object.entries(end)) {
            const found = valueOf(world, setting, core, Number(name));
            world.check(allowed.includes(found), `key ${name} has ${found} after the sweep`);
          }
          // Whatever is free can be written to.
          while (heap.take(21, new Int32Array(BLOCK_WORDS), BLOCK_WORDS) >= 0);
          for (const name of Object.keys(end)) valueOf(world, setting, core, Number(name));
        },
      };
    },
  };
}

const values = { isKey: false, isValue: true, blocks: 6, entries: 2, most: 1, there: [] };
const keys = { isKey: true, isValue: false, blocks: 6, entries: 4, most: 1, there: [] };

const cases: readonly Case[] = [
  steps(
    { name: "a value that is replaced beside its reader", preemptions: 2 },
    { ...values, there: [[2, 21]] },
    [[{ set: 2, to: 23 }, { set: 2, to: 25 }], [{ get: 2, allow: [21, 23, 25] }]],
    { 2: [25] },
  ),
  steps(
    { name: "blocks that go from one value to another beside readers", preemptions: 2 },
    { ...values, blocks: 3, there: [[2, 21]] },
    [[{ remove: 2 }, { set: 4, to: 43 }], [{ get: 2, allow: [0, 21] }, { get: 4, allow: [0, 43] }]],
    { 2: [0], 4: [43] },
  ),
  steps(
    { name: "two that write", preemptions: 2 },
    { ...values, blocks: 5, there: [[2, 21]] },
    [[{ set: 2, to: 23 }], [{ set: 2, to: 25 }, { remove: 2 }]],
    { 2: [0, 23] },
  ),
  steps(
    { name: "two that write to two chains", preemptions: 2 },
    { ...values, blocks: 8, most: 2, first: 2, there: [[2, 21], [1, 11]] },
    [[{ set: 2, to: 23 }], [{ set: 1, to: 13 }]],
    { 1: [13], 2: [23] },
  ),
  steps(
    { name: "not enough blocks", preemptions: 2 },
    { ...values, blocks: 3, there: [[2, 20]] },
    [[{ set: 2, to: 21, full: true }], [{ set: 4, to: 43, full: true }]],
    { 2: [20, 21], 4: [0, 43] },
  ),
  steps(
    { name: "who writes dies", preemptions: 1, kills: 1, victim: 0 },
    { ...values, there: [[2, 21, 1], [4, 40, 1]] },
    [[{ remove: 4 }, { set: 2, to: 23 }], [{ get: 2, allow: [21, 23] }]],
    { 2: [21, 23], 4: [0, 40] },
  ),
  steps(
    { name: "a sweep beside who writes what the dead has written", preemptions: 2 },
    { ...values, blocks: 5, there: [[2, 21, 1], [4, 40]] },
    [[{ sweep: true }], [{ set: 2, to: 20 }, { get: 4, allow: [40] }]],
    { 2: [20], 4: [40] },
  ),
  steps(
    {
      name: "a sweep beside who writes and dies",
      preemptions: 1,
      fullPreemptions: 2,
      kills: 1,
      victim: 0,
    },
    { ...values, blocks: 5, there: [[2, 20]] },
    [[{ set: 2, to: 22 }], [{ sweep: true }, { get: 2, allow: [20, 22, 24] }], [{
      set: 2,
      to: 24,
    }]],
    { 2: [20, 22, 24] },
  ),
  steps(
    {
      name: "a sweep after a death in two buckets beside a reader",
      full: true,
      preemptions: 1,
      fullPreemptions: 2,
      kills: 1,
      victim: 0,
    },
    { ...values, entries: 1, blocks: 4, there: [[2, 20], [4, 40]] },
    [[{ set: 4, to: 42 }], [{ sweep: true }, { set: 2, to: 22 }], [{ get: 4, allow: [40, 42] }]],
    { 2: [22], 4: [40, 42] },
  ),
  steps(
    { name: "it grows beside a reader and a writer", preemptions: 1, fullPreemptions: 2 },
    { ...values, most: 2, entries: 2, there: [[2, 20], [1, 10]] },
    [[{ grow: true }], [{ set: 1, to: 12 }, { set: 4, to: 40 }], [{ get: 1, allow: [10, 12] }]],
    { 1: [12], 2: [20], 4: [40] },
  ),
  steps(
    {
      ...{ name: "who makes it grow dies beside a reader", full: true },
      ...{ preemptions: 1, kills: 1, victim: 0 },
    },
    { ...values, most: 2, entries: 2, blocks: 4, there: [[2, 20], [1, 10]] },
    [[{ grow: true }], [{ set: 1, to: 12 }, { set: 2, to: 22 }], [{ get: 1, allow: [10, 12] }]],
    { 1: [12], 2: [22] },
  ),
  steps(
    { name: "a sweep beside a split", preemptions: 2 },
    { ...values, most: 2, entries: 2, there: [[2, 20], [1, 10], [4, 40]] },
    [[{ grow: true }], [{ sweep: true }], [{ get: 1, allow: [10] }]],
    { 1: [10], 2: [20], 4: [40] },
  ),
  steps(
    { name: "keys with the same marks beside readers", preemptions: 2 },
    { ...keys, there: [[1, 10], [3, 30]] },
    [[{ remove: 1 }, { set: 5, to: 50 }], [
      { get: 1, allow: [0, 10] },
      { get: 3, allow: [30] },
      { get: 5, allow: [0, 50] },
    ]],
    { 1: [0], 3: [30], 5: [50] },
  ),
  steps(
    { name: "two that write keys with the same marks", preemptions: 2 },
    { ...keys, there: [[1, 10]] },
    [[{ remove: 1 }, { set: 1, to: 11 }], [{ set: 3, to: 30 }, { remove: 3 }]],
    { 1: [11], 3: [0] },
  ),
  steps(
    { name: "who takes keys out dies", preemptions: 1, kills: 1, victim: 0 },
    { ...keys, there: [[1, 10, 1], [3, 30, 1]] },
    [[{ remove: 1 }, { remove: 3 }], [{ get: 3, allow: [0, 30] }, { set: 5, to: 50 }]],
    { 1: [0, 10], 3: [0, 30], 5: [50] },
  ),
  steps(
    { name: "keys and values, and a death", preemptions: 1, kills: 1, victim: 0 },
    { ...keys, isValue: true, blocks: 8, there: [[1, 10, 1]] },
    [[{ set: 1, to: 11 }, { set: 3, to: 30 }], [{ get: 1, allow: [10, 11] }, { remove: 1 }]],
    { 1: [0, 11], 3: [0, 30] },
  ),
];

const mutants: readonly Mutant[] = [
  {
    name: "a reader does not look whether the chain is as it was",
    file: CORE,
    find: "if (core.isWhole()) return found;",
    replace: "return found;",
  },
  {
    name: "a reader does not look whether the version is as it was",
    file: MAP,
    find: "if (loadShared(words, this.#seenHead + META) !== this.#seenMeta) return false;",
    replace: "loadShared(words, this.#seenHead + META);",
  },
  {
    name: "a reader does not look whether the bucket was split",
    file: MAP,
    find: "return loadFollowing(words, GROWN) === this.#seenGrown;",
    replace: "return true;",
  },
  {
    name: "blocks are given back before the entry refers to others",
    file: CORE,
    find: "    const outcome = this.#core.assign(this.#name, fresh);\n",
    replace:
      "    if (this.#isValue && had) this.#giveBack(entry, at);\n    const outcome = this.#core.assign(this.#name, fresh);\n",
  },
  {
    name: "old blocks are not given back",
    file: CORE,
    find: "    if (this.#isValue && had) this.#giveBack(entry, at);\n    return had",
    replace: "    return had",
  },
  {
    name: "old blocks keep the id of who wrote them",
    file: CORE,
    find: "    if (this.#isValue && had) this.#claim(entry, at);\n",
    replace: "",
  },
  {
    name: "a key's blocks keep the id of who wrote them when it goes",
    file: CORE,
    find: "    if (this.#isKey) this.#claim(entry, 0);\n",
    replace: "",
  },
  {
    name: "an entry is taken out before its blocks are claimed",
    file: CORE,
    find: `    if (this.#isValue) this.#claim(entry, at);
    if (this.#isKey) this.#removeMarks();
    else this.#core.remove(this.#name);
`,
    replace: `    if (this.#isKey) this.#removeMarks();
    else this.#core.remove(this.#name);
    if (this.#isValue) this.#claim(entry, at);
`,
  },
  {
    name: "what was taken is lost when there is not enough",
    file: HEAP,
    find: "        this.release(first, taken);\n",
    replace: "",
  },
  {
    name: "two take the same block",
    file: HEAP,
    find: "Atomics.compareExchange(words, block, FREE, id) !== FREE;",
    replace: "Atomics.exchange(words, block, id) === -2;",
  },
  {
    name: "a block is set free before it says which one follows",
    file: HEAP,
    find: `      const next = left > 1 ? this.#check(words[this.#linkOf(block)] as number) : 0;
      storeBetween(words, block, FREE);`,
    replace: `      storeBetween(words, block, FREE);
      const next = left > 1 ? this.#check(glance(words, this.#linkOf(block))) : 0;`,
  },
  {
    name: "a sweep keeps nothing",
    file: CORE,
    find: "heap.keep(dead, entry[value + BLOCK] as number, this.#blocks(entry, value));",
    replace: "",
  },
  {
    name: "a sweep keeps the first block of each value alone",
    file: CORE,
    find: "heap.keep(dead, entry[value + BLOCK] as number, this.#blocks(entry, value));",
    replace: "heap.keep(dead, entry[value + BLOCK] as number, 1);",
  },
  {
    name: "a sweep keeps no keys",
    file: CORE,
    find: "if (this.#isKey) heap.keep(dead, entry[BLOCK] as number, this.#blocks(entry, 0));",
    replace: "",
  },
  {
    name: "a sweep does not come to buckets that are split meanwhile",
    file: CORE,
    find: "    for (let place = 0; place < core.buckets(); place++) {\n",
    replace:
      "    const before = core.buckets();\n    for (let place = 0; place < before; place++) {\n",
  },
  {
    name: "a sweep takes from the living",
    file: HEAP,
    find: "      if (!me.alive(id)) dead.add(id);\n",
    replace: "      dead.add(id);\n",
  },
  {
    name: "a sweep does not lock",
    file: CORE,
    find: "      const held = core.values();\n",
    replace:
      "      const held = core.values();\n      core.unlock();\n      core.lockBucket(me, place);\n",
  },
  {
    name: "a key that goes takes those with it that come after",
    file: CORE,
    find: "    if (isFollowed) {\n",
    replace: "    if (false) {\n",
  },
  {
    name: "a reader takes any key with the same marks",
    file: CORE,
    find: "    return this.#heap.equals(this.#entry[BLOCK] as number, key.words, key.count());",
    replace: "    return true;",
  },
];

export const specs: readonly Spec[] = [{
  name: "FarCore",
  cases,
  mutants,
  plainSteps: ["lib/wait/stores.ts"],
}];
