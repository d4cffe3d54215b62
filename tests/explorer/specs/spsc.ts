import { SpscCore } from "../../../lib/structs/rings/spsc_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const CAPACITY = 2;
const SHAPE = { threads: 3, domains: 1 };
const RECORDS = 3 * LINE_WORDS;

/** Takes something, or sleeps until it can. Says whether it gave up. */
function* until(
  me: Waiter,
  events: SpscCore["notEmpty"],
  take: () => boolean,
): Wait<boolean> {
  while (!take()) {
    events.prepare(me);
    if (take()) {
      events.cancel(me);
      return true;
    }
    if (!(yield* events.wait(me))) return take();
  }
  return true;
}

/**
 * The numbers from 1 on, in records of `size` words that are all that number, go from the first thread to the second, so
 * many at a time: p and c; z and r write and read them in place. The second stops when it is told that there are no more.
 */
function numbers(
  options: Omit<Case, "words" | "setup" | "threads"> & {
    readonly size?: number;
    /** The last number. */
    readonly last: number;
    readonly puts: number;
    readonly takes: number;
    readonly start?: number;
    /** In place: without a copy. */
    readonly inPlace?: boolean;
    /** Whether a third thread goes on as the producer once the first one has put in half of them. */
    readonly heir?: boolean;
  },
): Case {
  const { size = 1, last, puts, takes, start = 0, inPlace = false, heir = false, ...rest } =
    options;
  const words = SpscCore.words(SHAPE, CAPACITY, size);
  const half = words;
  return {
    ...rest,
    threads: heir ? 3 : 2,
    words: words + LINE_WORDS,
    describe: (word) =>
      ({ 0: "tail", 1: "head seen", [LINE_WORDS]: "head", [LINE_WORDS + 1]: "tail seen" })[word] ??
        (word === 2 * LINE_WORDS
          ? "closed"
          : word < RECORDS + 2 * size
          ? "record"
          : `words[${word}]`),
    setup(world: World): Program {
      for (const at of [0, 1, LINE_WORDS, LINE_WORDS + 1]) world.words[at] = start;
      const ring = (): SpscCore =>
        new SpscCore(world.words.subarray(0, words), SHAPE, CAPACITY, size);
      const put = function* (thread: number, from: number, to: number): Wait<void> {
        const me = world.waiter(thread);
        const core = ring();
        const records = core.records();
        const source = new Int32Array(puts * size);
        for (let next = from; next <= to;) {
          const count = Math.min(puts, to + 1 - next);
          for (let word = 0; word < count * size; word++) {
            source[word] = next + Math.floor(word / size);
          }
          let done = 0;
          world.operation("put");
          yield* until(me, core.notFull, () => {
            if (!inPlace) return (done = core.push(me, source, count, 1)) > 0;
            done = Math.min(count, core.writable(1));
            if (done < 1) return false;
            const at = core.writeAt();
            for (let word = 0; word < done * size; word++) {
              records[at + word] = source[word] as number;
            }
            world.check(core.commit(me, done), "there was room");
            return true;
          });
          world.done();
          next += done;
        }
      };
      const take = function* (): Wait<void> {
        const me = world.waiter(1);
        const core = ring();
        const records = core.records();
        const target = new Int32Array(takes * size);
        for (let next = 1; next <= last;) {
          let got = 0;
          let isOver = false;
          world.operation("take");
          const pop = (): boolean => {
            if (!inPlace) return (got = core.pop(me, target, takes, 1)) > 0;
            got = Math.min(takes, core.readable(1));
            if (got < 1) return false;
            const at = core.readAt();
            for (let word = 0; word < got * size; word++) {
              target[word] = records[at + word] as number;
            }
            world.check(core.consume(me, got), "they were there");
            return true;
          };
          yield* until(me, core.notEmpty, () => {
            if (pop()) return true;
            if (!core.closed()) return false;
            isOver = !pop();
            return true;
          });
          world.done();
          if (isOver) {
            world.check(world.killed(0), `the end came before ${next}`);
            return;
          }
          world.check(got <= CAPACITY, "no more than there is room for");
          for (let word = 0; word < got * size; word++) {
            const wanted = next + Math.floor(word / size);
            world.check(target[word] === wanted, `${target[word]} in place of ${wanted}`);
          }
          next += got;
          const length = core.length();
          world.check(length >= 0 && length <= CAPACITY, `${length} records`);
        }
      };
      const middle = heir ? Math.floor(last / 2) : last;
      const first = function* (): Wait<void> {
        yield* put(0, 1, middle);
        if (heir) Atomics.store(world.words, half, 1);
        else ring().close(world.waiter(0));
      };
      const second = function* (): Wait<void> {
        const me = world.waiter(2);
        for (let round = 0; Atomics.load(world.words, half) === 0; round++) me.spin(round);
        yield* put(2, middle + 1, last);
        ring().close(me);
      };
      return { threads: [first, take, ...(heir ? [second] : [])] as Thread[] };
    },
  };
}

/** A consumer that sleeps is told that there is no more. */
function closing(): Case {
  const words = SpscCore.words(SHAPE, CAPACITY, 1);
  return {
    name: "closed while the other one sleeps",
    threads: 2,
    words,
    preemptions: 3,
    setup(world: World): Program {
      const ring = (): SpscCore => new SpscCore(world.words, SHAPE, CAPACITY, 1);
      const taker = function* (): Wait<void> {
        const me = world.waiter(1);
        const core = ring();
        const target = new Int32Array(1);
        let sum = 0;
        for (let isOver = false; !isOver;) {
          yield* until(me, core.notEmpty, () => {
            if (core.pop(me, target, 1, 1) === 0) {
              if (!core.closed()) return false;
              if (core.pop(me, target, 1, 1) === 0) return isOver = true;
            }
            sum += target[0] as number;
            return true;
          });
        }
        world.check(sum === 7, `${sum} of 7`);
      };
      const putter = (): void => {
        const me = world.waiter(0);
        const core = ring();
        world.check(core.push(me, Int32Array.of(7), 1, 1) === 1, "there was room");
        core.close(me);
      };
      return { threads: [putter, taker] };
    },
  };
}

/** A producer dies at any moment: the consumer gets what was put in, and finds out that there will be no more. */
function dying(): Case {
  const words = SpscCore.words(SHAPE, CAPACITY, 1);
  return {
    name: "death of the producer",
    threads: 2,
    words,
    preemptions: 2,
    kills: 1,
    victim: 0,
    setup(world: World): Program {
      let sum = 0;
      const ring = (): SpscCore => new SpscCore(world.words, SHAPE, CAPACITY, 1);
      const putter = function* (): Wait<void> {
        const me = world.waiter(0);
        const core = ring();
        for (let next = 1; next <= 3; next++) {
          const source = Int32Array.of(next);
          yield* until(me, core.notFull, () => core.push(me, source, 1, 1) > 0);
        }
        core.close(me);
      };
      const taker = function* (): Wait<void> {
        const me = world.waiter(1);
        const core = ring();
        const target = new Int32Array(1);
        for (let isOver = false; !isOver;) {
          yield* until(me, core.notEmpty, () => {
            if (core.pop(me, target, 1, 1) === 0) {
              if (!core.closed() && me.alive(1)) return false;
              if (core.pop(me, target, 1, 1) === 0) return isOver = true;
            }
            sum += target[0] as number;
            return true;
          });
        }
      };
      const end = (): void => {
        const tail = world.words[0] as number;
        world.check(sum === tail * (tail + 1) / 2, `${sum} of ${tail} numbers`);
        world.check(tail === 3 || world.killed(0), `${tail} of 3 numbers`);
      };
      return { threads: [putter, taker], end };
    },
  };
}

const mutants: readonly (Omit<Mutant, "file"> & { readonly file?: string })[] = [
  {
    name: "records are there before they are",
    find: `    for (let word = 0; word < n * size; word++) {
      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;
    }
    Atomics.store(words, TAIL, (tail + n) | 0);`,
    replace: `    Atomics.store(words, TAIL, (tail + n) | 0);
    for (let word = 0; word < n * size; word++) {
      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;
    }`,
  },
  {
    name: "the room is there before the records have been read",
    find: `    for (let word = 0; word < n * size; word++) {
      target[word] = words[at] as number;
      if (++at === end) at = RECORDS;
    }
    Atomics.store(words, HEAD, (head + n) | 0);`,
    replace: `    Atomics.store(words, HEAD, (head + n) | 0);
    for (let word = 0; word < n * size; word++) {
      target[word] = words[at] as number;
      if (++at === end) at = RECORDS;
    }`,
  },
  {
    name: "the producer's index is stored without order",
    find: "    Atomics.store(words, TAIL, (tail + n) | 0);",
    replace: "    words[TAIL] = (tail + n) | 0;",
  },
  {
    name: "one record more than there is room for",
    find: "    return this.capacity - ((tail - head) | 0);",
    replace: "    return this.capacity + 1 - ((tail - head) | 0);",
  },
  {
    name: "what the consumer saw is not taken up to date",
    find: "    this.#words[TAIL_SEEN] = tail;\n",
    replace: "    this.#words[TAIL_SEEN] = tail + 1;\n",
  },
  {
    name: "a consumer that sleeps is not told of records",
    find: `    Atomics.store(words, TAIL, (tail + n) | 0);
    if (this.notEmpty.mayWait()) this.notEmpty.notify(me);`,
    replace: `    const isAwaited = Atomics.load(words, TAIL) === tail && this.notEmpty.mayWait();
    Atomics.store(words, TAIL, (tail + n) | 0);
    if (isAwaited) this.notEmpty.notify(me);`,
  },
  {
    name: "a producer that sleeps is not told of room",
    find: `    Atomics.store(words, HEAD, (head + n) | 0);
    if (this.notFull.mayWait()) this.notFull.notify(me);`,
    replace: "    Atomics.store(words, HEAD, (head + n) | 0);",
  },
  {
    name: "the end of the memory is not its start",
    find: `      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;`,
    replace: `      words[at] = source[word] as number;
      if (++at === end) at = RECORDS + size;`,
  },
  {
    name: "indices that wrap are compared without that",
    find: "return (tail - head) | 0;",
    replace: "return tail - head;",
  },
  {
    name: "it is closed before those who sleep are told",
    find: `    Atomics.store(this.#words, CLOSED, 1);
    this.notEmpty.notifyAll(me);`,
    replace: `    this.notEmpty.notifyAll(me);
    Atomics.store(this.#words, CLOSED, 1);`,
  },
  {
    name: "what was written in place reaches over the end",
    find: "return Math.min(room, this.capacity - (tail & this.#mask));",
    replace: "return room;",
  },
  {
    name: "what is read in place reaches over the end",
    find: "return Math.min(there, this.capacity - (head & this.#mask));",
    replace: "return there;",
  },
  {
    name: "what was written in place is not announced",
    find: `    Atomics.store(words, TAIL, (tail + count) | 0);
    if (this.notEmpty.mayWait()) this.notEmpty.notify(me);`,
    replace: "    Atomics.store(words, TAIL, (tail + count) | 0);",
  },
  {
    name: "a consumer that sleeps does not look when a thread dies",
    file: "lib/structs/rings/ring_words.ts",
    find: "    notEmpty: new EventCountCore(words.subarray(first, second), shape, true),",
    replace: "    notEmpty: new EventCountCore(words.subarray(first, second), shape, false),",
  },
];

/** A ring of two records, so that it is often full or empty, and its end often reached. */
export const specs: readonly Spec[] = [{
  name: "SpscCore",
  cases: [
    numbers({ name: "one by one", preemptions: 3, last: 4, puts: 1, takes: 1 }),
    numbers({ name: "batches of two words", preemptions: 3, last: 5, puts: 2, takes: 2, size: 2 }),
    numbers({ name: "more than there is room for", preemptions: 2, last: 7, puts: 3, takes: 1 }),
    numbers({
      name: "indices wrap",
      preemptions: 2,
      last: 4,
      puts: 1,
      takes: 2,
      start: 2 ** 31 - 2,
    }),
    numbers({ name: "in place", preemptions: 3, last: 5, puts: 2, takes: 1, inPlace: true }),
    numbers({
      name: "in place, in batches",
      preemptions: 3,
      last: 5,
      puts: 1,
      takes: 2,
      inPlace: true,
    }),
    numbers({
      name: "woken for no reason",
      preemptions: 2,
      spurious: 2,
      last: 4,
      puts: 1,
      takes: 2,
    }),
    numbers({
      name: "another producer goes on",
      preemptions: 2,
      last: 4,
      puts: 1,
      takes: 2,
      heir: true,
    }),
    closing(),
    dying(),
  ],
  mutants: mutants.map((mutant) => ({ file: "lib/structs/rings/spsc_core.ts", ...mutant })),
}];
