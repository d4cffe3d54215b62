import {
  ABOVE,
  BELOW,
  FIRST,
  LAST,
  OrderedCore,
  type Relation,
} from "../../../lib/structs/ordered/ordered_core.ts";
import {
  COUNT,
  ENTRIES,
  FRESH,
  HEIGHT,
  nodesAt,
  type OrderedLayout,
  OWNER,
  RECORD_WORDS,
  RECORDS,
  ringAt,
  ROOT,
  SIZE,
  VERSION,
} from "../../../lib/structs/ordered/ordered_table.ts";
import { FULL } from "../../../lib/structs/ordered/ordered_tree.ts";
import type { Wait, Waiter } from "../../../lib/wait/waiter.ts";
import { treeOf } from "../../support/ordered_tree.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

/** A leaf of keys whose values are 10 times the key, or an inner node. */
type Tree = readonly number[] | readonly Tree[];

interface Setting {
  readonly leafEntries: number;
  readonly innerEntries: number;
  /** All of them are the same. Default: 1. */
  readonly valueWords?: number;
  readonly tree: Tree;
  /** Default: as many as no case needs. */
  readonly nodes?: number;
}

type Step =
  | { readonly set: number; readonly to: number }
  | { readonly add: number }
  | { readonly remove: number }
  /** What it may be: nothing is 0. Values of a key only grow. */
  | { readonly get: number; readonly allow: readonly number[] }
  /** The nearest key, and what it may be. */
  | { readonly near: Relation; readonly of: number; readonly allow: readonly number[] }
  /** How many there may be. */
  | { readonly size: readonly number[] }
  /** The entries of the first leaf, or the last one, at one moment. */
  | { readonly leaf: "first" | "last"; readonly allow: readonly string[] }
  /** All, both ways: in order, and keys that are there all the time. */
  | { readonly all: readonly number[] };

const MANY_NODES = 40;
const RECORD_COUNT = 4;
/** Why a sleep that no thread ends is not a lost wake-up. */
const slices = "who naps is never woken";

function layoutOf(
  { leafEntries, innerEntries, valueWords = 1, nodes = MANY_NODES }: Setting,
): OrderedLayout {
  const nodeWords = ENTRIES + Math.max(leafEntries * (1 + valueWords), innerEntries * 2);
  const ring = 64;
  return {
    ...{ keyWords: 1, valueWords, capacity: 20, records: RECORD_COUNT, ring, nodeWords },
    ...{ leafEntries, innerEntries, levels: 3, nodes },
    words: nodesAt(RECORD_COUNT, ring) + nodes * nodeWords,
  };
}

/** Writes what is there from the start. */
function fill(words: Int32Array, layout: OrderedLayout, tree: Tree): void {
  const { valueWords } = layout;
  let nodes = 0;
  let size = 0;
  let height = 0;
  const write = (part: Tree, depth: number): { readonly node: number; readonly first: number } => {
    height = Math.max(height, depth);
    const entries = part.map((entry) =>
      typeof entry === "number"
        ? [entry, ...new Array<number>(valueWords).fill(10 * entry)]
        : ((below) => [below.first, below.node])(write(entry as Tree, depth + 1))
    );
    if (typeof part[0] === "number") size += entries.length;
    const node = ++nodes;
    const at = nodesAt(layout.records, layout.ring) + node * layout.nodeWords;
    words[at + COUNT] = entries.length;
    words.set(entries.flat(), at + ENTRIES);
    return { node, first: entries[0]?.[0] as number };
  };
  if (tree.length > 0) words[RECORDS + ROOT] = write(tree, 1).node;
  words[RECORDS + HEIGHT] = height;
  words[RECORDS + SIZE] = size;
  words[RECORDS + FRESH] = nodes;
}

function describe(word: number, layout: OrderedLayout): string {
  if (word === VERSION) return "version";
  if (word === OWNER) return "owner";
  const nodes = nodesAt(layout.records, layout.ring);
  if (word >= nodes) {
    return `word ${(word - nodes) % layout.nodeWords} of node ${
      Math.floor((word - nodes) / layout.nodeWords)
    }`;
  }
  if (word >= ringAt(layout.records)) return `ring[${word - ringAt(layout.records)}]`;
  if (word < RECORDS) return `words[${word}]`;
  return `word ${(word - RECORDS) % RECORD_WORDS} of record ${
    Math.floor((word - RECORDS) / RECORD_WORDS)
  }`;
}

/** What one thread does. */
function* play(
  world: World,
  me: Waiter,
  core: OrderedCore,
  { steps, layout, least }: {
    readonly steps: readonly Step[];
    readonly layout: OrderedLayout;
    /** What is certain to be there: of each key the value of the last write that has ended. */
    readonly least: Map<number, number>;
  },
): Wait<void> {
  const { valueWords, leafEntries } = layout;
  const key = new Int32Array(1);
  const value = new Int32Array(valueWords);
  const entries = new Int32Array(leafEntries * (1 + valueWords));
  const keysOf = (count: number): number[] => {
    const keys: number[] = [];
    for (let at = 0; at < count * (1 + valueWords); at += 1 + valueWords) {
      keys.push(entries[at] as number);
      const last = entries[at + valueWords] as number;
      world.check(entries[at + 1] === last && last >= 10 * keys.at(-1)!, "half an entry");
    }
    return keys;
  };
  for (const step of steps) {
    if ("get" in step) {
      world.operation("get");
      key[0] = step.get;
      const before = least.get(step.get) ?? 0;
      const found = core.get(key, value) ? value[0] as number : 0;
      world.check(!found || value[valueWords - 1] === found, "half a value");
      world.check(step.allow.includes(found), `key ${step.get} has ${found}`);
      world.check(found >= before, `key ${step.get} has ${found}, and had ${before} before`);
      world.note(found);
    } else if ("near" in step) {
      world.operation("near");
      key[0] = step.of;
      const count = core.collect(step.near, key, entries, 1);
      const found = count > 0 ? entries[0] as number : 0;
      keysOf(count);
      world.check(step.allow.includes(found), `${found} is near`);
      world.note(found);
    } else if ("size" in step) {
      world.operation("size");
      const size = core.size();
      world.check(step.size.includes(size), `there are ${size}`);
      world.note(size);
    } else if ("leaf" in step) {
      world.operation("leaf");
      const count = core.collect(step.leaf === "first" ? FIRST : LAST, key, entries, leafEntries);
      const found = String(keysOf(count));
      world.check(step.allow.includes(found), `${found} are there`);
      for (const word of entries) world.note(word);
    } else if ("all" in step) {
      for (let way = 0; way < 2; way++) {
        world.operation("all");
        const found: number[] = [];
        let count = core.collect(way === 0 ? FIRST : LAST, key, entries, leafEntries);
        while (count > 0) {
          found.push(...keysOf(count));
          key[0] = found.at(-1)!;
          count = core.collect(way === 0 ? ABOVE : BELOW, key, entries, leafEntries);
        }
        world.done();
        if (way === 1) found.reverse();
        world.check(step.all.every((wanted) => found.includes(wanted)), `${found} are there`);
        world.check(
          found.every((k, at) => at === 0 || k > (found[at - 1] as number)),
          `${found}`,
        );
        for (const k of found) world.note(k);
      }
    } else {
      world.operation("write");
      if (!core.lock(me)) yield* core.wait(me);
      key[0] = "set" in step ? step.set : "add" in step ? step.add : step.remove;
      if ("remove" in step) {
        core.remove(key);
        value.fill(0);
      } else {
        if ("set" in step) value.fill(step.to);
        else {
          if (!core.get(key, value)) value.fill(0);
          value.fill((value[0] as number) + 1);
        }
        world.check(core.assign(key, value) !== FULL, "there is room");
      }
      const name = key[0] as number;
      least.set(name, value[0] === 0 ? 0 : Math.max(least.get(name) ?? 0, value[0] as number));
      world.note(least.get(name) as number);
      core.unlock();
    }
    if (!("all" in step)) world.done();
  }
}

/** Threads that read and write; what is there in the end is one of what is allowed, for each key. */
function steps(
  options: Omit<Case, "words" | "setup" | "threads">,
  setting: Setting,
  threads: readonly (readonly Step[])[],
  end: Readonly<Record<number, readonly number[]>>,
): Case {
  const layout = layoutOf(setting);
  return {
    ...options,
    threads: threads.length,
    words: Math.ceil(layout.words / 32) * 32,
    describe: (word) => describe(word, layout),
    setup(world: World): Program {
      const { words } = world;
      fill(words, layout, setting.tree);
      const least = new Map<number, number>();
      const coreOf = (): OrderedCore => new OrderedCore(words.subarray(0, layout.words), layout);
      const run = (index: number): Thread =>
        function* (): Wait<void> {
          yield* play(world, world.waiter(index), coreOf(), {
            steps: threads[index] as readonly Step[],
            ...{ layout, least },
          });
        };
      return {
        threads: threads.map((_, index) => run(index)),
        end(): void {
          // Whoever comes next can write at once, and finds a tree with nothing to repair.
          const heir: Waiter = {
            ...world.waiter(0),
            id: 20,
            alive: (id) => id === 20 || (id <= threads.length && !world.killed(id - 1)),
          };
          const core = coreOf();
          const key = Int32Array.of(99);
          const value = new Int32Array(layout.valueWords);
          world.check(core.lock(heir), "it can be locked");
          for (let round = 0; round < 2; round++) {
            const there: number[] = [];
            for (const [name, allowed] of Object.entries(end)) {
              key[0] = Number(name);
              const found = core.get(key, value) ? value[0] as number : 0;
              world.check(allowed.includes(found), `in the end key ${name} has ${found}`);
              if (found !== 0) there.push(Number(name));
            }
            const { keys, faults } = treeOf(words, layout);
            world.check(faults.length === 0, faults.join("; "));
            world.check(String(keys) === String(there), `${keys} are there, and ${there} found`);
            key[0] = 99;
            world.check(core.assign(key, value.fill(990)) !== FULL, "there is room");
            world.check(core.remove(key), "it was put in");
          }
          core.unlock();
        },
      };
    },
  };
}

const one = { leafEntries: 2, innerEntries: 4 };
const cases: readonly Case[] = [
  steps(
    { name: "values of two words, beside readers", preemptions: 2, fullPreemptions: 3 },
    { ...one, valueWords: 2, tree: [2], nodes: 6 },
    [[{ set: 2, to: 21 }, { set: 2, to: 22 }, { set: 2, to: 23 }, { set: 2, to: 24 }], [
      { get: 2, allow: [20, 21, 22, 23, 24] },
      { get: 2, allow: [20, 21, 22, 23, 24] },
    ]],
    { 2: [24] },
  ),
  steps(
    { name: "a leaf is read at one moment", preemptions: 2, fullPreemptions: 3 },
    { ...one, tree: [1] },
    [[{ set: 2, to: 20 }, { remove: 1 }, { set: 3, to: 30 }, { remove: 2 }], [
      { leaf: "first", allow: ["1", "1,2", "2", "2,3", "3"] },
      { near: LAST, of: 0, allow: [1, 2, 3] },
    ]],
    { 1: [0], 2: [0], 3: [30] },
  ),
  steps(
    { name: "two that add, and one that reads", preemptions: 2, spins: 0, slices },
    { ...one, tree: [1] },
    [[{ add: 1 }, { add: 1 }], [{ add: 1 }], [{ get: 1, allow: [10, 11, 12, 13] }]],
    { 1: [13] },
  ),
  steps(
    { name: "leaves are split beside readers", preemptions: 2, fullPreemptions: 3 },
    { ...one, tree: [1, 4] },
    [[{ set: 2, to: 20 }, { set: 3, to: 30 }, { set: 5, to: 50 }], [
      { get: 4, allow: [40] },
      { near: BELOW, of: 4, allow: [1, 2, 3] },
      { near: ABOVE, of: 1, allow: [2, 3, 4] },
      { size: [2, 3, 4, 5] },
    ]],
    { 1: [10], 2: [20], 3: [30], 4: [40], 5: [50] },
  ),
  steps(
    { name: "leaves vanish beside readers", preemptions: 2 },
    { ...one, tree: [[1], [2], [3, 4], [5]] },
    [[{ remove: 2 }, { remove: 5 }, { remove: 3 }], [
      { near: ABOVE, of: 1, allow: [2, 3, 4] },
      { near: LAST, of: 0, allow: [5, 4] },
      { near: BELOW, of: 4, allow: [3, 2, 1] },
      { size: [5, 4, 3, 2] },
    ]],
    { 1: [10], 2: [0], 3: [0], 4: [40], 5: [0] },
  ),
  steps(
    { name: "all, while entries come and go", preemptions: 2 },
    { ...one, tree: [[1, 2], [4], [6, 7]] },
    [[{ set: 3, to: 30 }, { remove: 4 }, { remove: 2 }], [{ all: [1, 6, 7] }]],
    { 1: [10], 2: [0], 3: [30], 4: [0], 6: [60], 7: [70] },
  ),
  steps(
    {
      name: "leaves and inner nodes are joined beside a reader",
      preemptions: 2,
      fullPreemptions: 3,
    },
    { leafEntries: 4, innerEntries: 4, tree: [[[1, 2], [3, 4]], [[5, 6], [7, 8]]] },
    [[{ remove: 7 }, { remove: 2 }, { set: 9, to: 90 }], [
      { get: 5, allow: [50] },
      { near: ABOVE, of: 4, allow: [5] },
      { near: BELOW, of: 5, allow: [4] },
    ]],
    { 1: [10], 2: [0], 3: [30], 4: [40], 5: [50], 6: [60], 7: [0], 8: [80], 9: [90] },
  ),
  steps(
    { name: "first keys, which do not matter until nodes are joined", preemptions: 1 },
    { ...one, tree: [[[2], [3]], [[7], [9], [12]]] },
    [
      [{ set: 1, to: 10 }, { remove: 7 }, { set: 8, to: 80 }, { remove: 12 }],
      [{ get: 1, allow: [0, 10] }, { get: 9, allow: [90] }, { get: 8, allow: [0, 80] }],
    ],
    { 1: [10], 2: [20], 3: [30], 7: [0], 8: [80], 9: [90], 12: [0] },
  ),
  steps(
    { name: "writers, of which one dies", preemptions: 2, kills: 1, victim: 0, spins: 0, slices },
    { ...one, tree: [[1, 2], [4]] },
    [[{ set: 3, to: 30 }, { remove: 4 }], [{ set: 5, to: 50 }, { get: 1, allow: [10] }, {
      remove: 2,
    }]],
    { 1: [10], 2: [0], 3: [0, 30], 4: [0, 40], 5: [50] },
  ),
  steps(
    { name: "a writer of a single entry dies", preemptions: 2, kills: 1, victim: 0 },
    { ...one, valueWords: 2, tree: [] },
    [[{ set: 1, to: 10 }, { set: 1, to: 11 }, { remove: 1 }], [
      { get: 1, allow: [0, 10, 11] },
      { size: [0, 1] },
    ]],
    { 1: [0, 10, 11] },
  ),
];

const core: readonly Omit<Mutant, "file">[] = [
  {
    name: "a reader does not look whether what it saw is still there",
    find: "return (loadShared(this.#words, VERSION) - version) >>> 0 <= this.#lag;",
    replace: "return true;",
  },
  {
    name: "a read may take a version longer than nodes are kept",
    find: "- version) >>> 0 <= this.#lag;",
    replace: "- version) >>> 0 <= this.#lag + 1;",
  },
  {
    name: "a dead owner is waited for",
    find: "if (me.alive(owner)) return false;",
    replace: "return false;",
  },
  {
    name: "an owner who lives is robbed",
    find: "if (me.alive(owner)) return false;\n",
    replace: "",
  },
  {
    name: "who finds it locked goes on",
    find: "let owner = Atomics.compareExchange(words, OWNER, 0, me.id);\n    while (owner !== 0) {",
    replace:
      "let owner = Atomics.exchange(words, OWNER, me.id);\n    while (owner !== 0 && !me.alive(owner)) {",
  },
  {
    name: "the neighbor of a leaf is not looked at",
    find: "      node = this.#neighbor(height, isDown);\n",
    replace: "      return 0;\n",
  },
  {
    name: "the neighbor is that of the leaf's place in its own node",
    find: "(isBefore ? slot <= 0 : slot >=",
    replace: "(isBefore ? slot < 0 : slot >",
  },
  {
    name: "the first key of an inner node counts",
    find: "const slot = this.#below(node, 1, count, keyWords + 1, key, true) - 1;",
    replace: "const slot = this.#below(node, 0, count, keyWords + 1, key, true) - 1;\n" +
      "      if (slot < 0) return false;",
  },
  {
    name: "the entry of the key itself is not in the node that begins with it",
    find: "keyWords + 1, key, true) - 1;\n      node",
    replace: "keyWords + 1, key, false) - 1;\n      node",
  },
  {
    name: "a leaf is read backwards from its start",
    find: "isDown ? slot - entry : slot + entry",
    replace: "slot + entry",
  },
];

const tree: readonly Omit<Mutant, "file">[] = [
  {
    name: "nodes are used again at once",
    find: "((words[before + PUT] as number) - this.#taken) | 0",
    replace: "((words[record + PUT] as number) - this.#taken) | 0",
  },
  {
    name: "nodes are used again a version too early",
    find: "((version - this.#lag) & (records - 1))",
    replace: "((version - this.#lag + 1) & (records - 1))",
  },
  {
    name: "nodes are never used again",
    find: "if (this.#free > 0) {",
    replace: "if (this.#free > NaN) {",
  },
  {
    name: "a version is there before its record",
    find:
      "    storeBetween(words, record + ROOT, this.#root);\n    storeBetween(words, record + HEIGHT, this.#height);",
    replace:
      "    Atomics.store(words, VERSION, version);\n    storeBetween(words, record + ROOT, this.#root);\n    storeBetween(words, record + HEIGHT, this.#height);",
  },
  {
    name: "the record of the present version is written to",
    find:
      "const record = RECORDS + (version & (this.#layout.records - 1)) * RECORD_WORDS;\n    storeBetween",
    replace:
      "const record = RECORDS + ((version - 1) & (this.#layout.records - 1)) * RECORD_WORDS;\n    storeBetween",
  },
  {
    name: "there is no new version",
    find: "(this.#version + 1) | 0",
    replace: "this.#version",
  },
  {
    name: "a node that is replaced is lost",
    find: "    this.#retire(this.#path[level] as number);\n",
    replace: "",
  },
  {
    name: "a neighbor that is joined is lost",
    find: "    this.#retire(node);\n    return count + more;",
    replace: "    return count + more;",
  },
  {
    name: "a node is written to where it is",
    find: "    const node = this.#take();\n    if (node === 0) return 0;",
    replace: "    const node = size > 2 && this.#height === 1 ? this.#root : this.#take();\n" +
      "    if (node === 0) return 0;",
  },
  {
    name: "what is taken out of the ring stays there",
    find: "      this.#taken = (this.#taken + 1) | 0;\n",
    replace: "",
  },
  {
    name: "the halves are told apart by the first one's key",
    find: "this.#announce(come++, node, this.#draft, cut * size);",
    replace: "this.#announce(come++, node, this.#draft, 0);",
  },
  {
    name: "a node that was joined keeps a first key that did not matter",
    find: "    if (level > 0) {\n      // The first key of the right one",
    replace: "    if (level > 1) {\n      // The first key of the right one",
  },
  {
    name: "an empty leaf stays",
    find: "if (count > 0) {\n        const node = this.#make(size, 0, cut);",
    replace: "if (count >= 0) {\n        const node = this.#make(size, 0, cut);",
  },
  {
    name: "the size is not in the record",
    find: "    storeBetween(words, record + SIZE, this.#size);\n",
    replace: "",
  },
];

export const specs: readonly Spec[] = [{
  name: "OrderedCore",
  plainSteps: ["lib/wait/stores.ts"],
  cases,
  mutants: [
    ...core.map((mutant) => ({ file: "lib/structs/ordered/ordered_core.ts", ...mutant })),
    ...tree.map((mutant) => ({ file: "lib/structs/ordered/ordered_tree.ts", ...mutant })),
  ],
}];
