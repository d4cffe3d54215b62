import { DequeCore, DONE, LOST, NONE } from "../../../lib/structs/deques/deque_core.ts";
import { LINE_WORDS } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const FILE = "lib/structs/deques/deque_core.ts";
const BOTTOM = 0;
const END = 1;
const TOP_SEEN = 2;
const OWNER = 3;
const TOP = LINE_WORDS;
const RECORDS = 2 * LINE_WORDS;

/** An operation of a thread, which has been done by its end, or has not, where the thread was killed. */
interface Operation {
  readonly thread: number;
  readonly what: "push" | "pop" | "steal" | "adopt";
  /** The number that it puts in or has taken out; NONE; LOST. Of `adopt`: DONE, NONE. */
  value: number;
  readonly begin: number;
  end: number;
  /** Where the thread was killed: what another one did to become the owner after it, which comes later. */
  heir?: Operation;
}

/** A deque, one operation after the other. */
interface Model {
  /** From the oldest to the newest. */
  readonly records: readonly number[];
  /** What a dead owner was popping: there again once another one has adopted the deque. */
  readonly hidden: readonly number[];
}

/** What may be there after an operation, if it can have had that result. */
function after(operation: Operation, { records, hidden }: Model, capacity: number): Model[] {
  const { what, value, end } = operation;
  const isPending = end === Infinity;
  const [oldest, newest] = [records[0], records.at(-1)];
  if (what === "push") {
    if (value === NONE) return records.length === capacity ? [{ records, hidden }] : [];
    return records.length < capacity ? [{ records: [...records, value], hidden }] : [];
  }
  if (what === "adopt") {
    const found = { records: [...records, ...hidden], hidden: [] };
    return isPending || value === DONE ? [found] : [{ records, hidden }];
  }
  if (what === "pop" && isPending) {
    return newest === undefined ? [] : [{ records: records.slice(0, -1), hidden: [newest] }];
  }
  if (value === LOST) return [{ records, hidden }];
  if (value === NONE) return records.length === 0 ? [{ records, hidden }] : [];
  if (what === "pop") return newest === value ? [{ records: records.slice(0, -1), hidden }] : [];
  // One that was killed has done nothing: its count is its last step.
  return !isPending && oldest === value ? [{ records: records.slice(1), hidden }] : [];
}

/** Whether there is an order of all operations in which a deque would have had these results. */
function isLinear(history: readonly Operation[], capacity: number): boolean {
  const tried = new Set<string>();
  const search = (left: readonly Operation[], model: Model): boolean => {
    if (left.every(({ end }) => end === Infinity)) return true;
    const key = `${left.map(({ begin }) => begin)} ${model.records} ${model.hidden}`;
    if (tried.has(key)) return false;
    tried.add(key);
    const first = Math.min(...left.map(({ end }) => end));
    return left.some((operation) => {
      if (operation.begin > first) return false;
      if (operation.heir !== undefined && !left.includes(operation.heir)) return false;
      const rest = left.filter((other) => other !== operation);
      return after(operation, model, capacity).some((next) => search(rest, next));
    });
  };
  return search(history, { records: [], hidden: [] });
}

/** Whether all that have lost a record have lost it to somebody. */
function hasWinners(history: readonly Operation[]): boolean {
  return history.filter(({ value }) => value === LOST).every((lost) =>
    history.some(({ thread, what, value, begin, end }) =>
      thread !== lost.thread && (what === "pop" || what === "steal") && value > 0 &&
      begin < lost.end && end > lost.begin
    )
  );
}

interface DequeCase extends Omit<Case, "words" | "setup" | "threads"> {
  /**
   * What each thread does: + pushes the next number and - pops, where the thread is the owner; s steals; a adopts, and A
   * tries until it has; d disowns; l looks how many there are. The first thread is the owner.
   */
  readonly roles: readonly string[];
  readonly size?: number;
  readonly capacity?: number;
  /** The number of the first record. */
  readonly start?: number;
  /** Whether all plain accesses are in order: no thread copies what the owner is writing over. */
  readonly ordered?: boolean;
}

/** What the threads of a run have done. */
class Record {
  readonly history: Operation[] = [];
  readonly #world: World;
  #now = 0;
  #owner = 0;
  #pushed = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Does an operation that says what it has taken, put in, or DONE, NONE or LOST. */
  do(thread: number, what: Operation["what"], value: number, call: () => number): number {
    const operation = { thread, what, value, begin: ++this.#now, end: Infinity };
    this.history.push(operation);
    this.#world.note(thread);
    this.#world.operation(what);
    operation.value = call();
    operation.end = ++this.#now;
    this.#world.done();
    this.#world.note(thread | (operation.value << 4));
    return operation.value;
  }

  next(): number {
    return ++this.#pushed;
  }

  /** Whether a thread is the owner, or has been and was told nothing else. */
  owns(thread: number): boolean {
    return this.#owner === thread;
  }

  /** Says whether a thread has become the owner. */
  adopt(thread: number, call: () => boolean): boolean {
    const at = this.history.length;
    if (this.do(thread, "adopt", NONE, () => Number(call())) !== DONE) return false;
    const owner = this.#owner;
    const isFree = owner < 0 || owner === thread || this.#world.killed(owner);
    this.#world.check(isFree, `thread ${owner} is the owner, too`);
    this.#owner = thread;
    this.#world.note(thread);
    const heir = this.history[at] as Operation;
    for (const operation of this.history) {
      if (operation.end < Infinity || !this.#world.killed(operation.thread)) continue;
      operation.heir ??= heir;
    }
    return true;
  }

  disown(): void {
    this.#owner = -1;
    this.#world.note(-1);
  }
}

/** Takes a record of which all words are the same number. */
function taken(world: World, done: number, target: Int32Array): number {
  if (done !== DONE) return done;
  const [first] = target;
  for (let word = 1; word < target.length; word++) {
    world.check(target[word] === first, `a torn record: ${target.join()}`);
  }
  return first as number;
}

function dequeCase(subject: DequeCase): Case {
  const { roles, size = 1, capacity = 2, start = 0, ordered: _, ...rest } = subject;
  return {
    ...rest,
    threads: roles.length,
    words: DequeCore.words(capacity, size),
    describe: (word) =>
      ({
        [BOTTOM]: "bottom",
        [END]: "end",
        [TOP_SEEN]: "top seen",
        [OWNER]: "owner",
        [TOP]: "top",
      })[
        word
      ] ?? `record ${Math.floor((word - RECORDS) / size)}`,
    setup(world: World): Program {
      for (const at of [BOTTOM, END, TOP_SEEN, TOP]) world.words[at] = start;
      world.words[OWNER] = 1;
      const record = new Record(world);
      const thread = (index: number): Thread => () => {
        const me = world.waiter(index);
        const core = new DequeCore(world.words, capacity, size);
        const target = new Int32Array(size);
        for (const what of roles[index] as string) {
          // From here on: not what has been done before this thread had its turn.
          world.pause();
          if (what === "+" && record.owns(index)) {
            const value = record.next();
            record.do(index, "push", value, () => {
              const done = core.push(me, target.fill(value));
              return done === DONE ? value : done;
            });
          } else if (what === "-" && record.owns(index)) {
            record.do(index, "pop", NONE, () => taken(world, core.pop(me, target), target));
          } else if (what === "s") {
            record.do(index, "steal", NONE, () => taken(world, core.steal(target), target));
          } else if (what === "a" || what === "A") {
            for (let round = 0;; round++) {
              if (record.adopt(index, () => core.adopt(me)) || what === "a") break;
              me.spin(round);
            }
          } else if (what === "d") {
            record.disown();
            world.check(core.disown(me), "the owner disowns it");
          } else if (what === "l") {
            const length = core.length();
            world.check(length >= 0 && length <= capacity, `${length} records`);
          }
        }
      };
      const end = (): void => {
        const core = new DequeCore(world.words, capacity, size);
        const last = roles.length;
        const target = new Int32Array(size);
        const me = { ...NOBODY, id: last + 1 };
        record.disown();
        record.adopt(last, () => core.adopt(me));
        const steal = (): number => taken(world, core.steal(target), target);
        const pop = (): number => taken(world, core.pop(me, target), target);
        for (let turn = 0, value = DONE; value > 0; turn++) {
          world.check(turn <= capacity, "more records than there is room for");
          value = record.do(
            last,
            turn % 2 === 0 ? "steal" : "pop",
            NONE,
            turn % 2 === 0 ? steal : pop,
          );
        }
        const told = record.history.map(({ thread, what, value }) => `${thread} ${what} ${value}`);
        world.check(isLinear(record.history, capacity), `no order: ${told.join(", ")}`);
        world.check(hasWinners(record.history), `lost to nobody: ${told.join(", ")}`);
      };
      return { threads: roles.map((_, index) => thread(index)), end };
    },
  };
}

/** For which all others are dead. */
const NOBODY = {
  ...{ id: 0, slot: 0, domain: 0, spin: () => false, unpark: () => {} },
  ...{ alive: () => false, now: () => 0 },
};

const cases: readonly DequeCase[] = [
  { name: "a thief", preemptions: 3, ordered: true, roles: ["++-+--", "sss"] },
  { name: "two thieves", preemptions: 2, ordered: true, roles: ["++-+-", "ss", "s"] },
  { name: "the last record", preemptions: 3, roles: ["+-+-", "s", "s"] },
  { name: "full", preemptions: 3, roles: ["+++++-", "ss"] },
  { name: "records of two words", preemptions: 3, size: 2, roles: ["+++-+", "ss"] },
  { name: "written over", preemptions: 3, size: 2, roles: ["++s+s+-", "sl"] },
  { name: "numbers wrap", preemptions: 3, start: 2 ** 31 - 2, roles: ["++-+++-", "sss"] },
  {
    name: "death of the owner",
    ...{ preemptions: 2, ordered: true, kills: 1, victim: 0, slots: [0, 1, 0] },
    roles: ["++-+-", "ss", "A-+--"],
  },
  {
    name: "death at the last record",
    ...{ preemptions: 3, start: 2 ** 31 - 1, kills: 1, victim: 0, slots: [0, 1, 0] },
    roles: ["+-", "s", "A-+-"],
  },
  {
    name: "two heirs",
    ...{ preemptions: 2, ordered: true, kills: 1, victim: 0 },
    roles: ["+-", "a-+", "a-s"],
  },
  {
    name: "death of an heir",
    ...{ preemptions: 1, fullPreemptions: 2, kills: 2, victims: [0, 2], slots: [0, 1, 0, 0] },
    roles: ["+-", "s", "A-+", "A-"],
  },
  {
    name: "death of a thief",
    ...{ preemptions: 2, kills: 1, victim: 1 },
    roles: ["+-+", "ss", "s"],
  },
  { name: "handed over", preemptions: 2, ordered: true, roles: ["++-d", "A-+-", "s"] },
];

const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "a record is there before it is written",
    find: `    for (let word = 0; word < size; word++) words[at + word] = record[word] as number;
    const next = (end + 1) | 0;
    Atomics.store(words, BOTTOM, next);`,
    replace: `    const next = (end + 1) | 0;
    Atomics.store(words, BOTTOM, next);
    for (let word = 0; word < size; word++) words[at + word] = record[word] as number;`,
  },
  {
    name: "one record more than there is room for",
    find: "    return ((end - top) | 0) >= this.capacity;",
    replace: "    return ((end - top) | 0) > this.capacity;",
  },
  {
    name: "what the owner saw of the top is taken for newer than it is",
    find: "    words[TOP_SEEN] = top;\n",
    replace: "    words[TOP_SEEN] = top + 1;\n",
  },
  {
    name: "push compares numbers that wrap without that",
    find: "if (((end - (words[TOP_SEEN] as number)) | 0) >= this.capacity && this.#isFull(end)) {",
    replace: "if (end - (words[TOP_SEEN] as number) >= this.capacity && this.#isFull(end)) {",
  },
  {
    name: "pop looks at the top before it says which record it takes",
    find: `    Atomics.store(words, BOTTOM, last);
    const below = (last - loadFollowing(words, TOP)) | 0;`,
    replace: `    const below = (last - loadShared(words, TOP)) | 0;
    Atomics.store(words, BOTTOM, last);`,
  },
  {
    name: "pop compares numbers that wrap without that",
    find: "const below = (last - loadFollowing(words, TOP)) | 0;",
    replace: "const below = last - loadFollowing(words, TOP);",
  },
  {
    name: "pop takes the last record without a count",
    find: "    if (below > 0) {",
    replace: "    if (below >= 0) {",
  },
  {
    name: "pop has the last record, whoever counted",
    find: "return Atomics.compareExchange(words, TOP, last, end) === last ? DONE : NONE;",
    replace: "return Atomics.compareExchange(words, TOP, last, end) !== end + 1 ? DONE : NONE;",
  },
  {
    name: "pop has something left to do once it has counted",
    find: `    words[TOP_SEEN] = end;
    return Atomics.compareExchange(words, TOP, last, end) === last ? DONE : NONE;`,
    replace: `    const found = Atomics.compareExchange(words, TOP, last, end);
    words[TOP_SEEN] = end;
    return found === last ? DONE : NONE;`,
  },
  {
    name: "pop is done before it has copied the record",
    find: `    const size = this.size;
    const at = RECORDS + (last & this.#mask) * size;`,
    replace: `    const size = this.size;
    if (below > 0) words[END] = last;
    const at = RECORDS + (last & this.#mask) * size;`,
  },
  {
    name: "the owner of an empty deque thinks that it was so before",
    find: `    if (below < 0) {
      words[TOP_SEEN] = end;`,
    replace: `    words[TOP_SEEN] = end;
    if (below < 0) {`,
  },
  {
    name: "a thief looks at the bottom before the top",
    find: `    const top = glance(words, TOP);
    if (((loadShared(words, BOTTOM) - top) | 0) <= 0) return NONE;`,
    replace: `    const bottom = loadShared(words, BOTTOM);
    const top = loadShared(words, TOP);
    if (((bottom - top) | 0) <= 0) return NONE;`,
  },
  {
    name: "a thief compares numbers that wrap without that",
    find: "if (((loadShared(words, BOTTOM) - top) | 0) <= 0) return NONE;",
    replace: "if (loadShared(words, BOTTOM) - top <= 0) return NONE;",
  },
  {
    name: "a thief copies a record once it has it",
    find: `    for (let word = 0; word < size; word++) target[word] = words[at + word] as number;
    return Atomics.compareExchange(words, TOP, top, (top + 1) | 0) === top ? DONE : LOST;`,
    replace: `    if (Atomics.compareExchange(words, TOP, top, (top + 1) | 0) !== top) return LOST;
    for (let word = 0; word < size; word++) target[word] = words[at + word] as number;
    return DONE;`,
  },
  {
    name: "a thief counts without looking",
    find: "return Atomics.compareExchange(words, TOP, top, (top + 1) | 0) === top ? DONE : LOST;",
    replace: "return Atomics.exchange(words, TOP, (top + 1) | 0) === top ? DONE : LOST;",
  },
  {
    name: "an empty deque was lost to somebody",
    find: "<= 0) return NONE;",
    replace: "<= 0) return LOST;",
  },
  {
    name: "an heir believes what thieves see",
    find: "const found = ((bottom - end) | 0) > 0 ? bottom : end;",
    replace: "const found = bottom;",
  },
  {
    name: "an heir believes what the owner wrote down",
    find: "const found = ((bottom - end) | 0) > 0 ? bottom : end;",
    replace: "const found = end;",
  },
  {
    name: "an heir compares numbers that wrap without that",
    find: "const found = ((bottom - end) | 0) > 0 ? bottom : end;",
    replace: "const found = bottom > end ? bottom : end;",
  },
  {
    name: "an heir does not show thieves what is there",
    find: "    Atomics.store(words, BOTTOM, found);\n",
    replace: "",
  },
  {
    name: "an heir believes what the owner saw of the top",
    find: "    words[TOP_SEEN] = Atomics.load(words, TOP);\n",
    replace: "",
  },
  {
    name: "an owner that lives has heirs",
    find: "    if (me.alive(owner)) return false;\n",
    replace: "",
  },
  {
    name: "two heirs",
    find: "if (Atomics.compareExchange(words, OWNER, owner, me.id) !== owner) return false;",
    replace: "Atomics.store(words, OWNER, me.id);",
  },
  {
    name: "whoever asks ends being the owner",
    find: "return Atomics.compareExchange(this.#words, OWNER, me.id, 0) === me.id;",
    replace: "return Atomics.load(this.#words, OWNER) === me.id;",
  },
];

/** As right as the others, one step after the other, but nothing puts the plain accesses in order. */
const disorders: readonly Omit<Mutant, "file">[] = [
  {
    name: "the bottom is stored without order",
    find: "    Atomics.store(words, BOTTOM, next);",
    replace: "    words[BOTTOM] = next;",
  },
  {
    name: "a deque is disowned without order",
    find: "return Atomics.compareExchange(this.#words, OWNER, me.id, 0) === me.id;",
    replace: "this.#words[OWNER] = 0; return true;",
  },
  {
    name: "a record is there before it is written",
    find: `    for (let word = 0; word < size; word++) words[at + word] = record[word] as number;
    const next = (end + 1) | 0;
    Atomics.store(words, BOTTOM, next);`,
    replace: `    const next = (end + 1) | 0;
    Atomics.store(words, BOTTOM, next);
    for (let word = 0; word < size; word++) words[at + word] = record[word] as number;`,
  },
];

const inFile = (all: readonly Omit<Mutant, "file">[]): readonly Mutant[] =>
  all.map((mutant) => ({ file: FILE, ...mutant }));

/** Two records, so that it is often full or empty; and room for all of them, where no place is written twice. */
export const specs: readonly Spec[] = [
  { name: "DequeCore", cases: cases.map(dequeCase), mutants: inFile(mutants), plainSteps: [FILE] },
  {
    name: "DequeCore's order",
    cases: cases.filter(({ ordered = false }) => ordered).map((subject) =>
      dequeCase({ ...subject, preemptions: 2, capacity: 8 })
    ),
    mutants: inFile(disorders),
  },
];
