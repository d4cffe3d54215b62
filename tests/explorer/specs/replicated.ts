import {
  CURRENT,
  GONE,
  type Replica,
  ReplicatedCore,
} from "../../../lib/structs/placed/replicated_core.ts";
import {
  APPLIED,
  COPY_OWNER,
  KIND,
  LOG_OWNER,
  LOST,
  RECORD_HEAD,
  RECORDS,
  REMOVE,
  SAFE,
  SET,
  SIZE,
  TAIL,
} from "../../../lib/structs/placed/replicated_table.ts";
import { BUSY } from "../../../lib/structs/outcomes.ts";
import type { Wait, Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const NAP_MS = 1;
const KEYS = 4;
const RECORD_WORDS = RECORD_HEAD + 2;
/** Why a sleep that no thread ends is not a lost wake-up. */
const slices = "who naps is never woken";

interface Setting {
  readonly copies: number;
  readonly records: number;
  /** How many operations there have been, modulo 2^32. Default: 0. */
  readonly start?: number;
  /** A key for which a copy has no room. */
  readonly full?: { readonly copy: number; readonly key: number };
}

/** Values of a key only grow, so that it can be told what is too old. */
type Step =
  | { readonly set: number; readonly to: number; readonly on: number }
  | { readonly add: number; readonly on: number }
  | { readonly remove: number; readonly on: number }
  | { readonly get: number; readonly on: number }
  /** How many entries there may be. */
  | { readonly size: readonly number[]; readonly on: number };

const partWords = (records: number): number =>
  Math.ceil((RECORDS + records * RECORD_WORDS + KEYS) / 32) * 32;

/** A copy in which a key has a word: 0, or its value. */
class Table implements Replica {
  readonly #words: Int32Array;
  readonly #full: number;

  constructor(words: Int32Array, full: number) {
    this.#words = words;
    this.#full = full;
  }

  apply(_: Waiter, log: Int32Array, at: number): boolean {
    const key = log[at + RECORD_HEAD] as number;
    if (key === this.#full) return false;
    const value = log[at + RECORD_HEAD + 1] as number;
    Atomics.store(this.#words, key, log[at + KIND] === REMOVE ? 0 : value);
    return true;
  }

  get(key: number): number {
    return Atomics.load(this.#words, key);
  }
}

/** What one thread knows of the map. */
interface View {
  readonly core: ReplicatedCore;
  readonly tables: readonly Table[];
}

function viewOf(words: Int32Array, { copies, records, full }: Setting): View {
  const size = partWords(records);
  const parts = Array.from(
    { length: copies },
    (_, copy) => words.subarray(copy * size, (copy + 1) * size),
  );
  const tables = parts.map((part, copy) => {
    const at = RECORDS + records * RECORD_WORDS;
    return new Table(part.subarray(at, at + KEYS), full?.copy === copy ? full.key : -1);
  });
  const layout = { records, recordWords: RECORD_WORDS };
  return { core: new ReplicatedCore(parts, layout, tables), tables };
}

function* patiently(me: Waiter, step: () => number): Wait<number> {
  for (let round = 0;; round++) {
    const outcome = step();
    if (outcome !== BUSY) return outcome;
    if (!me.spin(round)) yield NAP_MS;
  }
}

/** Brings a copy up to date, or the next one that is not lost. */
function* bring(me: Waiter, { core, tables }: View, on: number): Wait<number> {
  const tail = core.tail();
  if (core.has(on, tail)) return on;
  for (let step = 0; step < tables.length; step++) {
    const copy = (on + step) % tables.length;
    if ((yield* patiently(me, () => core.bring(me, copy, tail))) === CURRENT) return copy;
  }
  return -1;
}

/** What is certain to have been written: of each key its value, and of nothing how often it was written. */
type Least = Int32Array;

function* read(
  world: World,
  me: Waiter,
  view: View,
  step: { get: number; on: number },
  least: Least,
): Wait<void> {
  // Not before it is this thread's turn.
  world.pause();
  const before = least[step.get] as number;
  const copy = yield* bring(me, view, step.on);
  world.check(copy >= 0, "a copy is left");
  const found = (view.tables[copy] as Table).get(step.get);
  world.check(found >= before, `key ${step.get} has ${found}, and had ${before} before`);
  least[step.get] = Math.max(least[step.get] as number, found);
  world.note(found);
}

function* write(
  world: World,
  me: Waiter,
  view: View,
  step: Step & { on: number },
  least: Least,
): Wait<void> {
  const { core, tables } = view;
  yield* patiently(me, () => core.tryLock(me) ? CURRENT : BUSY);
  yield* patiently(me, () => core.room(me));
  const copy = yield* bring(me, view, step.on);
  world.check(copy >= 0, "a copy is left");
  const table = tables[copy] as Table;
  const key = "set" in step
    ? step.set
    : "add" in step
    ? step.add
    : (step as { remove: number }).remove;
  const before = table.get(key);
  const size = core.size(copy);
  const value = "set" in step ? step.to : "add" in step ? before + 1 : 0;
  const change = Number(value !== 0) - Number(before !== 0);
  core.append(value === 0 ? REMOVE : SET, size + change, Int32Array.of(key), Int32Array.of(value));
  core.unlock();
  core.bring(me, copy, core.tail());
  // A key that was removed may have any value again.
  least[key] = value === 0 ? 0 : Math.max(least[key] as number, value);
  world.note(least[key] as number);
}

function* play(
  world: World,
  index: number,
  view: View,
  steps: readonly Step[],
  least: Least,
): Wait<void> {
  const me = world.waiter(index);
  for (const step of steps) {
    if ("get" in step) {
      world.operation("get");
      yield* read(world, me, view, step, least);
    } else if ("size" in step) {
      world.operation("size");
      const copy = yield* bring(me, view, step.on);
      const size = view.core.size(copy);
      world.check(step.size.includes(size), `there are ${size}`);
      world.note(size);
    } else {
      world.operation("write");
      yield* write(world, me, view, step, least);
    }
    world.done();
  }
}

function describe(word: number, { records }: Setting): string {
  const size = partWords(records);
  const at = word % size;
  const names: Record<number, string> = {
    [TAIL]: "tail",
    [LOG_OWNER]: "owner of the log",
    [SAFE]: "safe",
    [APPLIED]: "applied",
    [LOST]: "lost",
    [SIZE]: "size",
    [COPY_OWNER]: "owner of the copy",
  };
  const end = RECORDS + records * RECORD_WORDS;
  const name = names[at] ?? (at >= end ? `key ${at - end}` : `record word ${at - RECORDS}`);
  return `${name} of ${Math.floor(word / size)}`;
}

/** Threads that read and write; what is there in the end is one of what is allowed, in all copies. */
function steps(
  options: Omit<Case, "words" | "setup" | "threads">,
  setting: Setting,
  threads: readonly (readonly Step[])[],
  end: Readonly<Record<number, readonly number[]>>,
): Case {
  const { copies, records, start = 0, full } = setting;
  return {
    slices,
    spins: 0,
    ...options,
    threads: threads.length,
    words: copies * partWords(records),
    describe: (word) => describe(word, setting),
    setup(world: World): Program {
      const { words } = world;
      for (let copy = 0; copy < copies; copy++) words[copy * partWords(records) + APPLIED] = start;
      words[TAIL] = words[SAFE] = start;
      const least = new Int32Array(KEYS);
      const run = (index: number): Thread =>
        function* (): Wait<void> {
          yield* play(
            world,
            index,
            viewOf(words, setting),
            threads[index] as readonly Step[],
            least,
          );
        };
      return {
        threads: threads.map((_, index) => run(index)),
        end(): void {
          // Whoever comes next can write at once, and then all copies that are not lost are the same.
          const heir: Waiter = {
            ...world.waiter(0),
            id: 20,
            alive: (id) => id === 20 || (id <= threads.length && !world.killed(id - 1)),
          };
          const { core, tables } = viewOf(words, setting);
          world.check(core.tryLock(heir), "the log can be locked");
          for (let copy = 0; copy < copies; copy++) {
            const outcome = core.bring(heir, copy, core.tail());
            world.check(outcome !== BUSY, "a copy can be written to");
            const isLost = outcome === GONE || words[copy * partWords(records) + LOST] !== 0;
            world.check(!isLost || full?.copy === copy, `copy ${copy} is lost`);
            if (isLost) continue;
            let entries = 0;
            for (const [name, allowed] of Object.entries(end)) {
              const found = (tables[copy] as Table).get(Number(name));
              const isSame =
                found === (tables[full?.copy === 0 ? 1 : 0] as Table).get(Number(name));
              world.check(allowed.includes(found), `in the end key ${name} has ${found}`);
              world.check(isSame, `copy ${copy} has ${found} for key ${name}`);
              if (found !== 0) entries++;
            }
            world.check(core.size(copy) === entries, `${core.size(copy)} of ${entries} entries`);
          }
          world.check(core.room(heir) === CURRENT, "there is room in the log");
          core.unlock();
        },
      };
    },
  };
}

const two = { copies: 2, records: 4 };
const cases: readonly Case[] = [
  steps(
    { name: "a write and reads on both copies", preemptions: 2, fullPreemptions: 3 },
    two,
    [[{ set: 1, to: 5, on: 0 }, { set: 1, to: 6, on: 0 }], [{ get: 1, on: 1 }, { get: 1, on: 0 }], [
      { get: 1, on: 0 },
      { get: 1, on: 1 },
    ]],
    { 1: [6] },
  ),
  steps(
    { name: "two that add on two nodes", preemptions: 2, fullPreemptions: 3 },
    two,
    [[{ add: 1, on: 0 }, { add: 1, on: 0 }], [{ add: 1, on: 1 }, { get: 1, on: 0 }]],
    { 1: [3] },
  ),
  steps(
    { name: "a log that is full, and a copy that is behind", preemptions: 2, fullPreemptions: 3 },
    { copies: 2, records: 2, start: -2 },
    [[{ add: 2, on: 0 }, { add: 1, on: 0 }, { add: 1, on: 0 }, { add: 1, on: 0 }], [
      { get: 1, on: 1 },
      { get: 2, on: 1 },
      { get: 1, on: 1 },
    ]],
    { 1: [3], 2: [1] },
  ),
  steps(
    { name: "a copy that has a part of the log", preemptions: 1 },
    { copies: 2, records: 2 },
    [[{ add: 3, on: 1 }, { get: 3, on: 0 }, { add: 2, on: 1 }, { add: 1, on: 1 }, {
      add: 1,
      on: 1,
    }], [{ get: 2, on: 0 }]],
    { 1: [2], 2: [1], 3: [1] },
  ),
  steps(
    { name: "entries that are counted", preemptions: 2 },
    { copies: 2, records: 2, start: 0x7fffffff },
    [[{ set: 1, to: 5, on: 0 }, { set: 2, to: 5, on: 0 }, { remove: 1, on: 0 }], [
      { size: [0, 1, 2], on: 1 },
      { size: [0, 1, 2], on: 0 },
    ]],
    { 1: [0], 2: [5] },
  ),
  steps(
    { name: "who writes dies", preemptions: 2, kills: 1, victim: 0 },
    { copies: 2, records: 2 },
    [[{ set: 1, to: 5, on: 0 }, { set: 1, to: 6, on: 0 }], [
      { get: 1, on: 0 },
      { add: 1, on: 1 },
      { get: 1, on: 0 },
    ]],
    { 1: [1, 5, 6, 7] },
  ),
  steps(
    { name: "who reads dies", preemptions: 1, kills: 1, victim: 0 },
    { copies: 2, records: 2 },
    [[{ get: 1, on: 1 }, { get: 1, on: 1 }], [
      { add: 1, on: 0 },
      { add: 1, on: 0 },
      { add: 1, on: 0 },
    ], [{ get: 1, on: 1 }]],
    { 1: [3] },
  ),
  steps(
    { name: "a copy that has no room", preemptions: 2, fullPreemptions: 3 },
    { copies: 2, records: 2, full: { copy: 1, key: 2 } },
    [[{ set: 1, to: 5, on: 0 }, { set: 2, to: 5, on: 0 }, { add: 1, on: 0 }, { add: 1, on: 0 }, {
      add: 1,
      on: 1,
    }], [
      { get: 2, on: 1 },
      { get: 1, on: 1 },
    ]],
    { 1: [8], 2: [5] },
  ),
];

const FILE = "lib/structs/placed/replicated_core.ts";
const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "a reader does not look whether its copy is behind",
    find: "return ((loadFollowing(this.#parts[copy] as Int32Array, APPLIED) - tail) | 0) >= 0;",
    replace: "return true;",
  },
  {
    name: "a copy that lacks one operation is good enough",
    find: "APPLIED) - tail) | 0) >= 0;\n  }",
    replace: "APPLIED) - tail) | 0) >= -1;\n  }",
  },
  {
    name: "numbers do not wrap",
    find: "if (((loadShared(words, APPLIED) - tail) | 0) >= 0) return CURRENT;",
    replace: "if (loadShared(words, APPLIED) >= tail) return CURRENT;",
  },
  {
    name: "who finds others at work takes it for done",
    find: "if (!this.#take(me, words, COPY_OWNER)) return BUSY;",
    replace: "if (!this.#take(me, words, COPY_OWNER)) return CURRENT;",
  },
  {
    name: "several write to a copy",
    find: "if (!this.#take(me, words, COPY_OWNER)) return BUSY;",
    replace: "this.#take(me, words, COPY_OWNER);",
  },
  {
    name: "a lost copy is written to again",
    find: "    if (Atomics.load(words, LOST) !== 0) return false;\n",
    replace: "",
  },
  {
    name: "a lost copy is not marked",
    find: "      Atomics.store(words, LOST, 1);\n",
    replace: "",
  },
  {
    name: "operations count before they are done",
    find: "    for (let left = missing; left > 0; left--) {",
    replace:
      "    Atomics.store(words, APPLIED, tail);\n    for (let left = missing; left > 0; left--) {",
  },
  {
    name: "operations count that came meanwhile",
    find: "    Atomics.store(words, APPLIED, tail);\n    return true;",
    replace: "    Atomics.store(words, APPLIED, Atomics.load(log, TAIL));\n    return true;",
  },
  {
    name: "the last operation is not done",
    find: "for (let left = missing; left > 0; left--) {",
    replace: "for (let left = missing; left > 1; left--) {",
  },
  {
    name: "operations are done in the wrong order",
    find: "if (replica.apply(me, log, this.#at(tail - left))) continue;",
    replace: "if (replica.apply(me, log, this.#at(tail - 1 - missing + left))) continue;",
  },
  {
    name: "entries are counted when others know already",
    find:
      "if (missing > 0) Atomics.store(words, SIZE, log[this.#at(tail - 1) + SIZE_AFTER] as number);\n    Atomics.store(words, APPLIED, tail);",
    replace:
      "Atomics.store(words, APPLIED, tail);\n    if (missing > 0) Atomics.store(words, SIZE, log[this.#at(tail - 1) + SIZE_AFTER] as number);",
  },
  {
    name: "an operation is there before its record",
    find: "    storeBetween(log, at + KIND, kind);",
    replace:
      "    Atomics.store(log, TAIL, (tail + 1) | 0);\n    storeBetween(log, at + KIND, kind);",
  },
  {
    name: "records are written over that a copy needs",
    find: "if ((tail - (log[SAFE] as number)) >>> 0 < records) return CURRENT;",
    replace: "if ((tail - (log[SAFE] as number)) >>> 0 <= records) return CURRENT;",
  },
  {
    name: "all copies have what the last one has",
    find: "if (missing > behind) behind = missing;",
    replace: "behind = missing;",
  },
  {
    name: "a copy that is behind is not brought up to date",
    find: "const outcome = this.bring(me, copy, tail);",
    replace: "const outcome = CURRENT as number;",
  },
  {
    name: "a copy that others write to is left behind",
    find: "if (outcome === BUSY) return BUSY;",
    replace: "",
  },
  {
    name: "a lost copy is waited for",
    find: "if (outcome === BUSY) return BUSY;",
    replace: "if (outcome !== CURRENT) return BUSY;",
  },
  {
    name: "a dead owner is waited for",
    find: "if (me.alive(owner)) return false;",
    replace: "return false;",
  },
  {
    name: "an owner who lives is robbed",
    find: "      if (me.alive(owner)) return false;\n",
    replace: "",
  },
  {
    name: "a copy stays locked",
    find: "      Atomics.store(words, COPY_OWNER, 0);\n",
    replace: "",
  },
];

export const specs: readonly Spec[] = [{
  name: "ReplicatedCore",
  plainSteps: ["lib/wait/stores.ts"],
  cases,
  mutants: mutants.map((mutant) => ({ file: FILE, ...mutant })),
}];
