import { READ_TRIES, SeqCore } from "../../../lib/sync/readers/seq_core.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import { lockSpec } from "../lock_spec.ts";
import type { Case, Program, Spec, Thread, World } from "../spec.ts";

const SIZE = 2;
/** Why all that do not await take time. */
const slices = "who naps is never woken";
const SHAPE = { threads: 3, domains: 1 };

const describe = (word: number): string =>
  ["version", "writer", "0.0", "0.1", "1.0", "1.1"][word] ?? `words[${word}]`;

/** Records are pairs of equal numbers that grow: what is read is one of them, and none that is older than the last. */
function records(options: Omit<Case, "words" | "setup" | "threads">, roles: string): Case {
  return {
    ...options,
    threads: roles.length,
    words: LINE_WORDS,
    describe,
    setup(world: World): Program {
      /** The newest that is certain to be out. */
      let written = 0;
      let highest = 0;
      const reader = (index: number): Thread => {
        const core = new SeqCore(world.words, SHAPE, SIZE);
        const me = world.waiter(index);
        const out = new Int32Array(SIZE);
        return function* (): Wait<void> {
          for (let round = 0; round < 2; round++) {
            const before = written;
            world.operation("read");
            const begun = highest;
            if (!core.read(out)) {
              const during = highest - begun + Number(roles.replaceAll("r", "").length);
              world.check(during >= READ_TRIES, `a read fails beside ${during} writes`);
              if (!core.begin(me)) yield* core.wait(me);
              world.check(core.read(out), "a read of who has the lock failed");
              world.check(core.release(me), "the owner can release");
            }
            world.done();
            world.check(out[0] === out[1], `half a record: ${out[0]}, ${out[1]}`);
            world.check((out[0] as number) >= before, "older than what was there");
            world.note(out[0] as number);
          }
        };
      };
      const writer = (index: number): Thread => {
        const core = new SeqCore(world.words, SHAPE, SIZE);
        const me = world.waiter(index);
        return function* (): Wait<void> {
          for (let round = 0; round < 2; round++) {
            world.operation("write");
            if (!core.begin(me)) yield* core.wait(me);
            const value = ++highest;
            world.note(value);
            core.write([value, value]);
            if (value > written) written = value;
            world.note(written);
            world.check(core.release(me), "the owner can release");
            world.done();
          }
        };
      };
      return {
        threads: [...roles].map((role, index) => role === "r" ? reader(index) : writer(index)),
      };
    },
  };
}

const lock = lockSpec({
  name: "SeqCore, as a lock",
  source: "lib/sync/readers/seq_core.ts",
  make: (words, { threads }) => new SeqCore(words, { threads, domains: 1 }, SIZE),
  words: () => LINE_WORDS,
  describe,
  cases: [
    { threads: 3, acquisitions: 2, preemptions: 3, spins: 1, tries: 1, slices },
    { threads: 3, acquisitions: 1, preemptions: 3, spins: 0, timeouts: 2, slices },
    { threads: 3, acquisitions: 1, preemptions: 2, spins: 0, kills: 1, victim: 1, slices },
  ],
  mutants: [
    {
      name: "nobody follows a dead writer",
      find: "if (me.alive(writer & ID_MASK)) return false;",
      replace: "if (me.alive(writer & ID_MASK) || writer > 0) return false;",
    },
    {
      name: "anybody releases it",
      find: "return Atomics.compareExchange(this.#words, WRITER, me.id, 0) === me.id;",
      replace: "return Atomics.exchange(this.#words, WRITER, 0) !== -1;",
    },
    {
      name: "two write at once",
      find: "if (found === writer) return true;",
      replace: "if (found === writer || found > 0) return true;",
    },
  ],
});

export const specs: readonly Spec[] = [
  lock,
  {
    name: "SeqCore",
    cases: [
      records({ name: "one writer", preemptions: 3 }, "wr"),
      records({ name: "two writers", preemptions: 2 }, "wwr"),
      records({ name: "two readers", preemptions: 2, spins: 0 }, "wrr"),
      records({
        name: "death of a writer",
        preemptions: 2,
        spins: 0,
        slices,
        kills: 1,
        victim: 1,
      }, "wwr"),
    ],
    mutants: [
      {
        name: "a read looks at the version once",
        file: "lib/sync/readers/seq_core.ts",
        find: "if (after === version) return true;",
        replace: "if (after !== version - 1) return true;",
      },
      {
        name: "the second look at the version may be the first",
        file: "lib/sync/readers/seq_core.ts",
        find: "const after = loadShared(words, VERSION);",
        replace: "const after = loadFollowing(words, VERSION);",
      },
      {
        name: "the current copy is overwritten",
        file: "lib/sync/readers/seq_core.ts",
        find: "const copy = COPIES + (next & 1) * size;",
        replace: "const copy = COPIES + ((next - 1) & 1) * size;",
      },
      {
        name: "the version is out before the record",
        file: "lib/sync/readers/seq_core.ts",
        find: `    for (let word = 0; word < size; word++) {
      Atomics.store(words, copy + word, values[word] as number);
    }
    Atomics.store(words, VERSION, next);`,
        replace: `    Atomics.store(words, VERSION, next);
    for (let word = 0; word < size; word++) {
      Atomics.store(words, copy + word, values[word] as number);
    }`,
      },
    ],
  },
];
