import { BUSY } from "../../../lib/structs/outcomes.ts";
import {
  DONE,
  KEY_WORDS,
  NONE,
  PriorityCore,
  type PriorityShape,
} from "../../../lib/structs/priority/priority_core.ts";
import { LINE_WORDS, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const FILE = "lib/structs/priority/priority_core.ts";
const SIZE = 2;

/** A call of a thread, which has been done by its end, or has not, where the thread was killed. */
interface Operation {
  readonly thread: number;
  readonly what: "push" | "pop";
  /** The record that it puts in or has taken out: ten times its priority, and what tells it from others. NONE. */
  record: number;
  /** Of a push: whether there was room. */
  isIn: boolean;
  readonly begin: number;
  end: number;
}

const priorityOf = (record: number): number => Math.floor(record / 10);

/** What may be in the queue after a call, if it can have had that result. */
function after(
  { what, record, isIn, end, isAlone }: Operation & { readonly isAlone: boolean },
  records: readonly number[],
  { capacity, heaps }: PriorityShape,
): (readonly number[])[] {
  const isPending = end === Infinity;
  // Of several heaps each is looked at at a moment of its own.
  const isExact = heaps === 1 || isAlone;
  if (what === "push") {
    if (!isPending && !isIn) return !isExact || records.length === capacity ? [records] : [];
    return records.length < capacity ? [[...records, record]] : [];
  }
  if (!isPending && record === NONE) return !isExact || records.length === 0 ? [records] : [];
  const first = Math.min(...records.map(priorityOf));
  return records.filter((other) =>
    (isPending || other === record) && (heaps > 1 || priorityOf(other) === first)
  ).map((taken) => records.filter((other) => other !== taken));
}

/** Whether there is an order of all calls in which a queue would have had these results. */
function isLinear(
  history: readonly Operation[],
  start: readonly number[],
  shape: PriorityShape,
): boolean {
  const tried = new Set<string>();
  const alone = new Set(
    history.filter((one) =>
      history.every((other) => other === one || other.end < one.begin || other.begin > one.end)
    ),
  );
  const search = (left: readonly Operation[], records: readonly number[]): boolean => {
    if (left.every(({ end }) => end === Infinity)) return true;
    const key = `${left.map(({ begin }) => begin)} ${records.toSorted()}`;
    if (tried.has(key)) return false;
    tried.add(key);
    const first = Math.min(...left.map(({ end }) => end));
    return left.some((operation) =>
      operation.begin <= first &&
      after({ ...operation, isAlone: alone.has(operation) }, records, shape).some((next) =>
        search(left.filter((other) => other !== operation), next)
      )
    );
  };
  return search(history, start);
}

interface PriorityCase extends Omit<Case, "words" | "setup" | "threads"> {
  /** What each thread does: a digit puts a record of that priority in; - takes one out; l looks how many there are. */
  readonly roles: readonly string[];
  /** Priorities of what is there at first, in their places. */
  readonly start?: string;
  readonly capacity?: number;
  readonly heaps?: number;
}

/** For which all others are dead. */
const nobody = (id: number): Waiter => ({
  ...{ id, slot: 0, domain: 0, spin: () => false, unpark: () => {} },
  ...{ alive: () => false, now: () => 0 },
});

/** The second word of a key counts, too: odd priorities share the first one with the even one before. */
function entryOf(record: number): Int32Array {
  return Int32Array.of(priorityOf(record) >> 1, priorityOf(record) & 1, record);
}

/** What the threads of a run have done. */
class Record {
  readonly history: Operation[] = [];
  readonly #world: World;
  readonly #shape: PriorityShape;
  #now = 0;

  constructor(world: World, shape: PriorityShape) {
    this.#world = world;
    this.#shape = shape;
  }

  /** Puts a record in. */
  put(thread: number, me: Waiter, core: PriorityCore, record: number): void {
    const operation = this.#begin(thread, "push", record);
    let done = core.push(me, entryOf(record));
    for (let round = 0; done === BUSY; round++) {
      me.spin(round);
      done = core.push(me, entryOf(record));
    }
    this.#end(operation, done);
  }

  /** Takes a record out, and says whether there was one. */
  take(thread: number, me: Waiter, core: PriorityCore): boolean {
    const target = new Int32Array(this.#shape.entryWords);
    const operation = this.#begin(thread, "pop", NONE);
    let done = core.pop(me, target);
    for (let round = 0; done === BUSY; round++) {
      me.spin(round);
      done = core.pop(me, target);
    }
    this.#end(operation, done);
    if (done === NONE) return false;
    const record = target[KEY_WORDS] as number;
    this.#world.check(
      target.join() === entryOf(record).join(),
      `a torn record: ${target.join()}`,
    );
    operation.record = record;
    this.#world.note(record);
    return true;
  }

  #begin(thread: number, what: Operation["what"], record: number): Operation {
    const begin = ++this.#now;
    const operation = { thread, what, record, isIn: false, begin, end: Infinity };
    this.history.push(operation);
    this.#world.note(thread);
    this.#world.operation(what);
    return operation;
  }

  #end(operation: Operation, done: number): void {
    operation.isIn = done === DONE;
    operation.end = ++this.#now;
    this.#world.done();
    this.#world.note(operation.thread | (done << 4));
  }
}

function priorityCase(subject: PriorityCase): Case {
  const { roles, start = "", capacity = 8, heaps = 1, ...rest } = subject;
  const shape = { heaps, capacity, entryWords: KEY_WORDS + 1 };
  const records = [...start].map((digit, index) => Number(digit) * 10 + index);
  return {
    ...rest,
    threads: roles.length,
    words: PriorityCore.words(shape),
    describe: (word) => ["owner", "hole", "size", "hand size"][word] ?? `word ${word}`,
    setup(world: World): Program {
      for (const [index, record] of records.entries()) {
        const heap = (index % heaps) * PriorityCore.words(shape) / heaps;
        const place = Math.floor(index / heaps);
        world.words[heap + SIZE] = place + 1;
        world.words.set(entryOf(record), heap + LINE_WORDS + place * shape.entryWords);
      }
      const record = new Record(world, shape);
      const thread = (index: number): Thread => () => {
        const me = world.waiter(index);
        const core = new PriorityCore(world.words, shape);
        for (const [at, what] of [...roles[index] as string].entries()) {
          // From here on: not what has been done before this thread had its turn.
          world.pause();
          if (what === "-") record.take(index, me, core);
          else if (what === "l") {
            const length = core.length();
            world.check(length >= 0 && length <= capacity, `${length} records`);
          } else record.put(index, me, core, Number(what) * 10 + 5 + index * 2 + at);
        }
      };
      const end = (): void => {
        const last = roles.length;
        const me = nobody(last + 1);
        const core = new PriorityCore(world.words, shape);
        for (let turn = 0; record.take(last, me, core); turn++) {
          world.check(turn < capacity, "more records than there is room for");
        }
        world.check(core.length() === 0, `${core.length()} records are left`);
        const { history } = record;
        const told = history.map(({ thread, what, record, isIn }) =>
          `${thread} ${what} ${record} ${isIn}`
        ).join();
        const drained = history.filter(({ thread, isIn }) => thread === last && isIn);
        const order = drained.map(({ record }) => priorityOf(record)).join();
        const right = order.split(",").toSorted().join();
        world.check(heaps > 1 || order === right, `not in order: ${told}`);
        world.check(isLinear(history, records, shape), `no order: ${told}`);
      };
      return { threads: roles.map((_, index) => thread(index)), end };
    },
  };
}

const cases: readonly PriorityCase[] = [
  { name: "in and out", preemptions: 2, start: "3", roles: ["1-", "2-"] },
  { name: "two levels", preemptions: 2, start: "2678345", roles: ["-1", "-"] },
  { name: "full", preemptions: 2, capacity: 2, start: "4", roles: ["12", "-3"] },
  { name: "empty", preemptions: 3, roles: ["1-", "--l"] },
  {
    name: "death in a push",
    ...{ preemptions: 1, kills: 1, victim: 0 },
    start: "3456789",
    roles: ["1", "--"],
  },
  {
    name: "death in a push of something late",
    ...{ preemptions: 1, kills: 1, victim: 0 },
    start: "35",
    roles: ["4", "-2"],
  },
  {
    name: "death in a pop",
    ...{ preemptions: 1, kills: 1, victim: 0 },
    start: "1567289",
    roles: ["-", "-2"],
  },
  {
    name: "death at the last one",
    ...{ preemptions: 2, kills: 1, victim: 0 },
    start: "1",
    roles: ["-2", "-l"],
  },
  {
    name: "two heirs",
    ...{ preemptions: 2, kills: 1, victim: 0 },
    start: "24",
    roles: ["1", "-", "-"],
  },
  {
    name: "death of an heir",
    ...{ preemptions: 0, fullPreemptions: 1, kills: 2, victims: [0, 1] },
    start: "134",
    roles: ["-", "2", "-"],
  },
  { name: "two heaps", preemptions: 2, heaps: 2, capacity: 4, start: "34", roles: ["1-", "-2-"] },
  {
    name: "two heaps, one of a dead thread",
    ...{ preemptions: 2, heaps: 2, capacity: 4, kills: 1, victim: 0 },
    start: "34",
    roles: ["1-", "--"],
  },
  { name: "two heaps that are full", preemptions: 2, heaps: 2, capacity: 2, roles: ["123", "--"] },
];

const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "the hole is there before the hand is full",
    find: `    const hand = this.#base + HAND;
    for (let word = 0; word < this.#entryWords; word++) {
      words[hand + word] = source[from + word] as number;
    }
    words[this.#base + HAND_SIZE] = size;
    Atomics.store(words, this.#base + HOLE, hole + 1);`,
    replace: `    const hand = this.#base + HAND;
    Atomics.store(words, this.#base + HOLE, hole + 1);
    for (let word = 0; word < this.#entryWords; word++) {
      words[hand + word] = source[from + word] as number;
    }
    words[this.#base + HAND_SIZE] = size;`,
  },
  {
    name: "nobody writes down how many there will be",
    find: "    words[this.#base + HAND_SIZE] = size;\n",
    replace: "    words[this.#base + SIZE] = words[this.#base + HAND_SIZE] = size;\n",
  },
  {
    name: "the hole moves before it is full",
    find: `    }
    Atomics.store(words, this.#base + HOLE, place + 1);`,
    replace: `      if (word === 0) Atomics.store(words, this.#base + HOLE, place + 1);
    }`,
  },
  {
    name: "the hole stays",
    find: "    Atomics.store(words, this.#base + HOLE, place + 1);\n",
    replace: "",
  },
  {
    name: "the hole is closed before the hand is in it",
    find: `    const hand = this.#base + HAND;
    const to = this.#at(hole);`,
    replace: `    const hand = this.#base + HAND;
    Atomics.store(words, this.#base + HOLE, 0);
    const to = this.#at(hole);`,
  },
  {
    name: "the hole stays open",
    find: `HAND_SIZE] as number;
    Atomics.store(words, this.#base + HOLE, 0);`,
    replace: "HAND_SIZE] as number;",
  },
  {
    name: "the size stays",
    find: "    words[this.#base + SIZE] = words[this.#base + HAND_SIZE] as number;\n",
    replace: "",
  },
  {
    name: "an heir lets the hand go",
    find: "    if (hole < 0 || hole >= size) {",
    replace: "    if (hole < 0 || hole < size) {",
  },
  {
    name: "an heir does nothing",
    find: "    if (isDead) this.#repair();\n",
    replace: "",
  },
  {
    name: "an heir only moves the hole down",
    find: "    const risen = this.#rise(hole);",
    replace: "    const risen = hole;",
  },
  {
    name: "an heir only moves the hole up",
    find: "this.#settle(risen === hole ? this.#sink(hole, size) : risen);",
    replace: "this.#settle(risen);",
  },
  {
    name: "who lives has heirs",
    find: "      if (me.alive(owner)) return false;\n",
    replace: "",
  },
  {
    name: "two heirs of one",
    find: "const found = Atomics.compareExchange(words, at, owner, me.id);",
    replace: "const found = Atomics.exchange(words, at, me.id) === 0 ? 0 : owner;",
  },
  {
    name: "the lock is not given back",
    find: "    Atomics.store(this.#words, this.#base + OWNER, 0);\n",
    replace: "",
  },
  {
    name: "what is locked is full",
    find: `        result = BUSY;
        continue;`,
    replace: "        continue;",
  },
  {
    name: "what is locked is empty",
    find: "if (!this.#tryLock(me, base)) return BUSY;\n    const size",
    replace: "if (!this.#tryLock(me, base)) return NONE;\n    const size",
  },
  {
    name: "one more than there is room for",
    find: "const fits = size < this.#capacity;",
    replace: "const fits = size <= this.#capacity;",
  },
  {
    name: "a full heap is the end",
    find: "      if (fits) return DONE;\n",
    replace: "      return fits ? DONE : NONE;\n",
  },
  {
    name: "what a dead thread puts in is not there",
    find:
      "    return loadShared(words, base + OWNER) === 0 && loadFollowing(words, base + SIZE) === 0;",
    replace: "    return loadShared(words, base + SIZE) === 0;",
  },
  {
    name: "the first heap is the last one",
    find: "      if (done === DONE) return DONE;\n",
    replace: "      if (done !== BUSY) return done;\n",
  },
  {
    name: "only the first word of a key counts",
    find: "return (words[one + 1] as number) < (words[other + 1] as number);",
    replace: "return false;",
  },
  {
    name: "one child too few is looked at",
    find: "const end = Math.min(first + CHILDREN, size);",
    replace: "const end = Math.min(first + CHILDREN - 1, size);",
  },
  {
    name: "children that are not there are looked at",
    find: "const end = Math.min(first + CHILDREN, size);",
    replace: "const end = first + CHILDREN;",
  },
  {
    name: "the last one is not taken from its place",
    find: "this.#take(words, this.#at(last), last, 0);",
    replace: "this.#take(words, this.#at(last), size, 0);",
  },
];

export const specs: readonly Spec[] = [{
  name: "PriorityCore",
  cases: cases.map(priorityCase),
  mutants: mutants.map((mutant) => ({ file: FILE, ...mutant })),
  plainSteps: [FILE],
}];
