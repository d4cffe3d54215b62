import {
  type Control,
  Control as ControlWords,
  controlBytes,
  Reader,
  Writer,
} from "../../../lib/memory/spread/left_right.ts";
import type { Waiter } from "../../../lib/wait/waiter.ts";
import type { Mutant, Spec, World } from "../spec.ts";

/** Reader lines of a copy, and words of its control part. */
const READERS = 4;
const CONTROL_WORDS = controlBytes(READERS) / 4;
const COPIES = 2;
const SIDE_WORDS = 32;
const DATA = COPIES * CONTROL_WORDS;

/** Two words that have to be the same: the version that is on that side. */
const sideStart = (copy: number, side: number): number => DATA + (copy * 2 + side) * SIDE_WORDS;

const controls = (world: World): Control[] =>
  Array.from(
    { length: COPIES },
    (_, copy) => new ControlWords(world.buffer, copy * CONTROL_WORDS * 4, READERS),
  );

const aliveFor = (me: Waiter) => (identity: bigint): boolean => me.alive(Number(identity));

/** Reads one copy after the other: never two versions at once, never back to an older one. */
function read(world: World, thread: number, how: { nested?: boolean; last?: boolean } = {}): void {
  const { words } = world;
  const copies = [...controls(world).entries()];
  let seen = 0;
  for (const [copy, control] of how.last === true ? copies.toReversed() : copies) {
    const reader = new Reader(control, thread, BigInt(thread + 1));
    world.operation("read");
    const version = reader.enter(seen);
    const start = sideStart(copy, version & 1);
    const first = words[start] as number;
    if (how.nested === true) {
      const again = reader.enter(version);
      world.check(((again - version) | 0) >= 0, `version ${again} inside of ${version}`);
      reader.leave(again & 1);
    }
    world.pause();
    const second = words[start + 1] as number;
    world.check(first === second, `a torn version: ${first} and ${second}`);
    world.check(first === version, `version ${version} has the data of ${first}`);
    world.check(version >= seen, `version ${version} after ${seen}`);
    seen = version;
    reader.leave(version & 1);
    world.done();
  }
}

/** Writes new versions on all copies. */
function write(world: World, thread: number, updates: number): void {
  const { words } = world;
  const me = world.waiter(thread);
  const writer = new Writer(controls(world), BigInt(me.id), aliveFor(me));
  for (let update = 0; update < updates; update++) {
    world.operation("update");
    for (let round = 0; writer.tryLock() !== 0n; round++) me.spin(round);
    world.lock("taken");
    const version = writer.settle() + 1;
    for (let round = 0; writer.blocker(version & 1) !== undefined; round++) me.spin(round);
    for (let copy = 0; copy < COPIES; copy++) {
      const start = sideStart(copy, version & 1);
      words[start] = version;
      world.pause();
      words[start + 1] = version;
    }
    writer.publish(version);
    world.lock("free");
    writer.unlock();
    world.done();
  }
}

/** All copies have the same version in the end. */
function checkCopies(world: World, expected: number): void {
  const writer = new Writer(controls(world), 7n, (identity) => !world.killed(Number(identity) - 1));
  world.check(writer.tryLock() === 0n, "nobody writes in the end");
  world.check(writer.settle() === expected, `${expected} updates are there in the end`);
  world.check(writer.blocker(0) === undefined && writer.blocker(1) === undefined, "nobody reads");
}

function describe(word: number): string {
  if (word >= DATA) {
    const at = word - DATA;
    const side = Math.floor(at / SIDE_WORDS);
    return `data ${at % SIDE_WORDS} of side ${side % 2} of copy ${Math.floor(side / 2)}`;
  }
  const copy = Math.floor(word / CONTROL_WORDS);
  const line = Math.floor((word % CONTROL_WORDS) / 32);
  const field = word % 32;
  const name = line === 0
    ? ["version", "top", "owner", "owner", "readers"][field]
    : ["held", "", "identity", "identity"][field];
  return `${name} of copy ${copy}${line === 0 ? "" : `, reader ${line - 1}`}`;
}

const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "a reader does not look after its announcement",
    find: "if (!isHeld) Atomics.store(words, this.#line, held);\n",
    replace: `if (!isHeld && Atomics.load(words, VERSION) === version) {
        Atomics.store(words, this.#line, held);
        this.#held = held;
        (this.#depth[side] as number)++;
        return version;
      }
`,
  },
  {
    name: "an inner read looks without order",
    find: "isHeld ? loadShared(words, VERSION) : loadFollowing(words, VERSION);",
    replace: "loadFollowing(words, VERSION);",
  },
  {
    name: "a reader announces the other side",
    find: "const held = this.#held | (1 << side);",
    replace: "const held = this.#held | (2 >> side);",
  },
  {
    name: "a reader goes back to an older version",
    find: "if (((version - newest) | 0) === 1) {",
    replace: "if (newest === version) {",
  },
  {
    name: "an inner read ends the outer one, too",
    find: "if (depth > 0) return;",
    replace: "",
  },
  {
    name: "the writer passes over readers",
    find: "if (identity === this.#self || this.#alive(identity)) return",
    replace: "if (identity === this.#self) return",
  },
  {
    name: "a new reader line is not looked at",
    find: "    raise(words, TOP, slot + 1);\n",
    replace: "",
  },
  {
    name: "two writers",
    find: "if (owner === this.#self || this.#alive(owner)) return owner;",
    replace: "if (owner === this.#self) return owner;",
  },
  {
    name: "a dead writer is waited for",
    find: "if (Atomics.compareExchange(longs, OWNER_LONG, owner, this.#self) === owner) return 0n;",
    replace: "return owner;",
  },
  {
    name: "what a dead writer has begun is not ended",
    find: "for (const copy of this.#copies) if (copy.version !== newest) copy.publish(newest);",
    replace: "",
  },
  {
    name: "a dead reader is waited for",
    find: "const identity = Atomics.load(longs, (1 + slot) * LINE_LONGS + IDENTITY_LONG);",
    replace: "const identity = this.#self;",
  },
];

/** Readers that never wait, and writers that never tear. */
export const specs: readonly Spec[] = [{
  name: "left-right",
  mutants: mutants.map((mutant) => ({ file: "lib/memory/spread/left_right.ts", ...mutant })),
  cases: [
    {
      name: "two updates and a reader",
      threads: 2,
      words: DATA + COPIES * 2 * SIDE_WORDS,
      preemptions: 3,
      describe,
      setup: (world) => ({
        threads: [() => write(world, 0, 3), () => read(world, 1, { nested: true })],
        end: () => checkCopies(world, 3),
      }),
    },
    {
      name: "two readers",
      threads: 3,
      words: DATA + COPIES * 2 * SIDE_WORDS,
      preemptions: 1,
      fullPreemptions: 2,
      describe,
      setup: (world) => ({
        threads: [
          () => write(world, 0, 2),
          () => read(world, 1),
          () => read(world, 2, { nested: true }),
        ],
        end: () => checkCopies(world, 2),
      }),
    },
    {
      name: "a writer dies",
      threads: 3,
      words: DATA + COPIES * 2 * SIDE_WORDS,
      preemptions: 1,
      kills: 1,
      victim: 0,
      describe,
      setup: (world) => ({
        threads: [
          () => write(world, 0, 1),
          () => write(world, 1, 1),
          () => read(world, 2, { last: true }),
        ],
      }),
    },
    {
      name: "a reader dies",
      threads: 2,
      words: DATA + COPIES * 2 * SIDE_WORDS,
      preemptions: 2,
      kills: 1,
      victim: 1,
      describe,
      setup: (world) => ({
        threads: [() => write(world, 0, 2), () => read(world, 1)],
        end: () => checkCopies(world, 2),
      }),
    },
  ],
}];
