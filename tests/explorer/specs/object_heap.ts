import {
  CROWDED,
  FULL,
  NOT_ALLOCATED,
  ObjectHeap,
} from "../../../lib/memory/objects/object_heap.ts";
import {
  type ObjectLayout,
  objectLayout,
  OUTGOING_COUNT,
  outgoingAt,
  pendingAt,
  remoteAt,
  WANTED,
} from "../../../lib/memory/objects/object_layout.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const HEAP = "lib/memory/objects/object_heap.ts";
const OUTBOX = "lib/memory/objects/object_outbox.ts";

/** Two ids a chunk. */
const SHIFT = 1;
const RECORDS = 3;
const OBJECTS = 6;
const layoutOf = (objects: number): ObjectLayout =>
  objectLayout({ records: RECORDS, chunks: objects >> SHIFT, shift: SHIFT });
const layout = layoutOf(OBJECTS);
/** A word for each object: who has it in hand, as they say. */
const HANDS = layout.words;
/** Where threads leave objects (id + 1) for each other. */
const BOXES = HANDS + OBJECTS;
const BOX_COUNT = 4;
const WORDS = BOXES + BOX_COUNT;

function describe(word: number): string {
  if (word >= BOXES) return `box ${word - BOXES}`;
  if (word >= HANDS) return `hand of ${word - HANDS}`;
  if (word >= layout.states) return `state of ${word - layout.states}`;
  if (word >= layout.bases) return `base of chunk ${word - layout.bases}`;
  if (word >= layout.owners) return `owner of chunk ${word - layout.owners}`;
  if (word === WANTED) return "wanted";
  for (let record = 0; record < RECORDS; record++) {
    if (word === remoteAt(record)) return `remote of record ${record}`;
    if (word === pendingAt(record)) return `pending of record ${record}`;
    const slot = word - outgoingAt(record);
    if (slot >= 0 && slot < OUTGOING_COUNT) return `outgoing ${slot} of record ${record}`;
  }
  return `words[${word}]`;
}

interface HeapCase extends Partial<Case> {
  readonly name: string;
  /**
   * What each thread does, a word each: t takes an object, if one is left; g gives its oldest one back; gg tries to give
   * it twice; pN puts its oldest one into box N, bN waits until it can take it from there; f flushes; l leaves.
   */
  readonly roles: readonly string[];
  /** The same, done before the first step, each with a thread's index. A thread that has no role is dead. */
  readonly before?: readonly string[];
  readonly objects?: number;
  /** How many objects a killed thread may lose for good. */
  readonly lost?: number;
  /** Whether no thread looks at states that another one is writing. */
  readonly ordered?: boolean;
}

/** One thread of a case. */
class User {
  readonly #world: World;
  readonly #index: number;
  readonly #heap: ObjectHeap;
  readonly #held: number[] = [];

  constructor(world: World, index: number, objects: number) {
    this.#world = world;
    this.#index = index;
    this.#heap = heapOf(world, {
      ...{ objects, self: index + 1 },
      alive: (identity) =>
        identity <= world.threads &&
        (index >= world.threads || world.waiter(index).alive(identity)),
    });
  }

  do(todo: string): void {
    for (const what of todo.split(" ")) {
      const box = BOXES + Number(what.slice(1));
      if (what === "t") this.#take();
      else if (what === "g") this.#give(this.#held.shift());
      else if (what === "gg") this.#giveTwice(this.#held.shift());
      else if (what === "f") this.#heap.flush();
      else if (what === "l") this.#heap.leave();
      else if (what[0] === "p") this.#put(box, this.#held.shift());
      else if (what[0] === "b") this.#fetch(box);
    }
  }

  #take(): void {
    const { words } = this.#world;
    const id = this.#heap.take(0);
    this.#world.check(id !== CROWDED, "there are as many records as threads");
    if (id === FULL) return;
    const base = this.#heap.baseOf(id);
    this.#world.check(base === (id >> SHIFT) * UNITS, `the base of ${id} is ${base}`);
    // Plain accesses: nobody else has it, and whoever had it before is done with it.
    const who = words[HANDS + id] as number;
    this.#world.check(who === 0, `${id} is in two hands`);
    words[HANDS + id] = this.#index + 1;
    this.#held.push(id);
  }

  #give(id: number | undefined): void {
    if (id === undefined) return;
    const { words } = this.#world;
    this.#world.check(words[HANDS + id] === this.#index + 1, `${id} is still in this one's hands`);
    words[HANDS + id] = 0;
    this.#world.check(this.#heap.give(id) === 0, "what is allocated can be given back");
  }

  #giveTwice(id: number | undefined): void {
    if (id === undefined) return;
    this.#give(id);
    this.#world.check(this.#heap.give(id) === NOT_ALLOCATED, "but only once");
  }

  #put(box: number, id: number | undefined): void {
    if (id !== undefined) Atomics.store(this.#world.words, box, id + 1);
  }

  #fetch(box: number): void {
    const { words } = this.#world;
    let found = Atomics.exchange(words, box, 0);
    for (let round = 0; found === 0; round++) {
      this.#world.waiter(this.#index).spin(round);
      found = Atomics.exchange(words, box, 0);
    }
    words[HANDS + found - 1] = this.#index + 1;
    this.#held.push(found - 1);
  }
}

const UNITS = 10;

function heapOf(
  { words }: World,
  { objects, self, alive }: { objects: number; self: number; alive: (identity: number) => boolean },
): ObjectHeap {
  return new ObjectHeap(words.subarray(0, layout.words), {
    ...{ layout: layoutOf(objects), objects, slots: [1 << SHIFT], units: [UNITS] },
    ...{ room: (objects >> SHIFT) * UNITS, self, alive },
  });
}

/** All that can be taken when all are gone, and what is not in anybody's hands, are the same. */
function checkAll(world: World, objects: number, lost: number): void {
  const { words } = world;
  const self = 99;
  const heap = heapOf(world, { objects, self, alive: () => false });
  let taken = 0;
  for (let id = heap.take(0); id >= 0; id = heap.take(0)) {
    world.check(words[HANDS + id] === 0, `${id} is in two hands in the end`);
    words[HANDS + id] = self;
    world.check(++taken <= objects, "more objects than there are");
  }
  let missing = 0;
  for (let id = 0; id < objects; id++) if (words[HANDS + id] === 0) missing++;
  world.check(missing <= lost, `${missing} objects are lost`);
}

function heapCase(subject: HeapCase): Case {
  const { roles, before = [], objects = OBJECTS, lost = 0, ordered: _, ...more } = subject;
  return {
    threads: roles.length,
    words: WORDS,
    preemptions: 2,
    steps: 20_000,
    describe,
    ...more,
    setup(world): Program {
      const users = Array.from({ length: RECORDS }, (_, index) => new User(world, index, objects));
      for (const done of before) (users[Number(done[0])] as User).do(done.slice(2));
      const thread = (index: number): Thread => () => {
        (users[index] as User).do(roles[index] as string);
      };
      return {
        threads: roles.map((_, index) => thread(index)),
        end: () => checkAll(world, objects, lost),
      };
    },
  };
}

const cases: readonly HeapCase[] = [
  { name: "two take", ordered: true, roles: ["t t t", "t t t"] },
  {
    name: "given back by another one",
    ordered: true,
    before: ["0:t t"],
    roles: ["p0 p1 t", "b0 g b1 g f"],
  },
  { name: "run out", objects: 2, before: ["0:t t p0"], roles: ["g t t", "b0 g t g t"] },
  {
    name: "two push",
    ordered: true,
    preemptions: 1,
    fullPreemptions: 2,
    objects: 4,
    before: ["0:t t p0 p1"],
    roles: ["t t", "b0 g f", "b1 g f"],
  },
  {
    name: "receives while others push",
    ordered: true,
    objects: 2,
    before: ["0:t t p0 p1"],
    roles: ["t t g t", "b0 g b1 g f"],
  },
  {
    name: "shares",
    ordered: true,
    objects: 4,
    before: ["0:t t t t g g g", "1:t"],
    roles: ["g t t t", "t t"],
  },
  {
    name: "shares what others push",
    preemptions: 1,
    fullPreemptions: 2,
    objects: 4,
    before: ["0:t t t t g g g p0", "1:t"],
    roles: ["t g t t", "t t", "b0 g f"],
  },
  {
    name: "leaves while others push",
    preemptions: 1,
    fullPreemptions: 2,
    objects: 4,
    before: ["0:t t p0"],
    roles: ["g l t t", "b0 g f t t"],
  },
  { name: "leaves", ordered: true, objects: 4, before: ["0:t t t"], roles: ["g g g l", "t t"] },
  { name: "given back twice", objects: 2, before: ["0:t t p0"], roles: ["gg t", "b0 gg f gg"] },
  { name: "two heirs", ordered: true, objects: 2, before: ["2:t t g g"], roles: ["t t", "t"] },
  {
    name: "two heirs of a batch",
    ordered: true,
    preemptions: 1,
    fullPreemptions: 2,
    objects: 4,
    before: ["0:t t t p0 p1", "2:b0 g b1 g"],
    roles: ["t t", "t t t"],
  },
  {
    name: "death of an owner",
    ordered: true,
    objects: 4,
    kills: 1,
    victim: 0,
    lost: 1,
    before: ["0:t t t t p0 p1 p2"],
    roles: ["t g t", "b0 g b1 g b2 g f"],
  },
  {
    name: "death of who gives back",
    ordered: true,
    preemptions: 1,
    fullPreemptions: 2,
    objects: 4,
    kills: 1,
    victim: 1,
    lost: 3,
    before: ["0:t t t p0 p1"],
    roles: ["t t t", "b0 g b1 g f t"],
  },
  {
    name: "death of who sends",
    ordered: true,
    preemptions: 1,
    fullPreemptions: 2,
    kills: 1,
    victim: 1,
    lost: 1,
    before: ["1:t g", "0:t t t t p0 p1 p2"],
    roles: ["f", "b0 g f b1 g f b2 g f"],
  },
  {
    name: "death of who shares",
    ordered: true,
    objects: 4,
    kills: 1,
    victim: 0,
    lost: 1,
    before: ["0:t t t t g g g", "1:t"],
    roles: ["g t t", "t t"],
  },
  {
    name: "death of who claims",
    ordered: true,
    preemptions: 1,
    fullPreemptions: 2,
    kills: 1,
    victim: 0,
    lost: 1,
    roles: ["t t t", "t t t"],
  },
  {
    name: "death of an heir",
    preemptions: 1,
    fullPreemptions: 2,
    objects: 4,
    kills: 1,
    victim: 0,
    lost: 2,
    before: ["1:t", "2:t p0 t p1 t"],
    roles: ["t t", "t t"],
  },
];

const mutants: readonly Mutant[] = [
  {
    name: "takes what was pushed, and what was pushed meanwhile",
    file: HEAP,
    find: "if (Atomics.compareExchange(words, remoteAt(record), top, 0) === top) {",
    replace: "if (Atomics.store(words, remoteAt(record), 0) === 0) {",
  },
  {
    name: "pushes over what was pushed meanwhile",
    file: OUTBOX,
    find: "      this.#words[this.#before + last] = ~seen;\n",
    replace: "",
  },
  {
    name: "pushes without looking",
    file: OUTBOX,
    find: "const seen = Atomics.compareExchange(this.#words, remoteAt(owner - 1), top, first);",
    replace: "const seen = top; Atomics.store(this.#words, remoteAt(owner - 1), first);",
  },
  {
    name: "a batch is not in shared memory",
    file: OUTBOX,
    find: "    this.#words[outgoingAt(record) + slot] = link;\n",
    replace: "",
  },
  {
    name: "gives back what is not allocated",
    file: HEAP,
    find:
      "    if (id < 0 || words[at] !== ALLOCATED) return NOT_ALLOCATED;\n    const owner = words[",
    replace: "    if (id < 0) return NOT_ALLOCATED;\n    const owner = words[",
  },
  {
    name: "keeps a list of what it has shared",
    file: HEAP,
    find: "    this.#rebuild();\n    this.#want(0);",
    replace: "    this.#want(0);",
  },
  {
    name: "keeps a list after it has left",
    file: HEAP,
    find: "    this.#heads.fill(0);\n    this.#mine = -1;",
    replace: "    this.#mine = -1;",
  },
  {
    name: "two take one chunk out of the commons",
    file: HEAP,
    find: "if (Atomics.compareExchange(this.#words, at, owner, mine) !== owner) return false;",
    replace: "Atomics.store(this.#words, at, mine);",
  },
  {
    name: "two claim one chunk",
    file: HEAP,
    find: "const before = Atomics.compareExchange(words, layout.owners + chunk, 0, mine);",
    replace: "const before = 0; Atomics.store(words, layout.owners + chunk, mine);",
  },
  {
    name: "counts a chunk twice",
    file: HEAP,
    find: "Atomics.compareExchange(words, CLAIMED, chunk, chunk + 1);",
    replace: "Atomics.add(words, CLAIMED, 1);",
  },
  {
    name: "a chunk is claimed before its successor has a base",
    file: HEAP,
    find: `      Atomics.store(words, layout.bases + chunk + 1, base + taken);
      Atomics.compareExchange(words, CLAIMED, chunk, chunk + 1);`,
    replace: `      Atomics.compareExchange(words, CLAIMED, chunk, chunk + 1);
      Atomics.store(words, layout.bases + chunk + 1, base + taken);`,
  },
  {
    name: "two have one record",
    file: HEAP,
    find: "return Atomics.compareExchange(this.#threads, at, thread, this.#self) === thread;",
    replace: "Atomics.store(this.#threads, at, this.#self); return true;",
  },
  {
    name: "lets go of an inheritance before it has it",
    file: HEAP,
    find: `      this.#resume(record);
      Atomics.store(this.#threads, thread, 0n);`,
    replace: `      Atomics.store(this.#threads, thread, 0n);
      this.#resume(record);`,
  },
  {
    name: "forgets what the dead one was taking",
    file: HEAP,
    find: "words[pending] = this.#isStacked(record, ~stopped) ? 0 : ~stopped;",
    replace: "words[pending] = 0;",
  },
  {
    name: "sends what is in the commons to nobody",
    file: HEAP,
    find: "      const owner = this.#resolve(link - 1);\n",
    replace: "      const owner = this.#ownerOf(link - 1);\n",
  },
  {
    name: "an object is free before it is off the list of what came home",
    file: HEAP,
    find: `      words[pending] = ~(words[at] as number);
      const owner = this.#resolve(link - 1);
      if (owner === this.#mine) {
        this.#keep(link);`,
    replace: `      const after = ~(words[at] as number);
      const owner = this.#resolve(link - 1);
      if (owner === this.#mine) this.#keep(link);
      words[pending] = after;
      if (owner === this.#mine) {`,
  },
];

/** As right as the others, one step after the other, but nothing puts the plain accesses in order. */
const disorders: readonly Mutant[] = [
  {
    name: "pushes without an atomic",
    file: OUTBOX,
    find: "const seen = Atomics.compareExchange(this.#words, remoteAt(owner - 1), top, first);",
    replace:
      "const at = remoteAt(owner - 1); const seen = this.#words[at] as number; if (seen === top) this.#words[at] = first;",
  },
  {
    name: "leaves without an atomic",
    file: HEAP,
    find: "Atomics.store(this.#threads, threadAt(this.#mine - 1), 0n);",
    replace: "this.#threads[threadAt(this.#mine - 1)] = 0n;",
  },
  {
    name: "shares without an atomic",
    file: HEAP,
    find: "      Atomics.store(this.#words, this.#owners + chunk, kind << CLASS_SHIFT | commons);",
    replace: "      this.#words[this.#owners + chunk] = kind << CLASS_SHIFT | commons;",
  },
];

export const specs: readonly Spec[] = [
  { name: "ObjectHeap", cases: cases.map(heapCase), mutants, plainSteps: [HEAP, OUTBOX] },
  {
    name: "ObjectHeap's order",
    cases: cases.filter(({ ordered = false }) => ordered).map((subject) =>
      heapCase({ ...subject, preemptions: 2 })
    ),
    mutants: disorders,
  },
];
