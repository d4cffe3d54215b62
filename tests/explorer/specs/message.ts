import { MessageCore, NONE } from "../../../lib/structs/rings/message_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

/** Words of messages: the longest one has twelve bytes. */
const CAPACITY = 8;
const SHAPE = { threads: 3, domains: 1 };
const MESSAGES = 3 * LINE_WORDS;
const WORDS = MessageCore.words(SHAPE, CAPACITY);

const describe = (word: number): string =>
  ({
    0: "tail",
    1: "head seen",
    [LINE_WORDS]: "head",
    [LINE_WORDS + 1]: "tail seen",
    [2 * LINE_WORDS]: "closed",
  })[word] ??
    (word >= MESSAGES && word < MESSAGES + CAPACITY
      ? `message[${word - MESSAGES}]`
      : `words[${word}]`);

/** Takes something, or sleeps until it can. Says whether it gave up. */
function* until(
  me: Waiter,
  events: MessageCore["notEmpty"],
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

interface MessageCase extends Omit<Case, "words" | "setup" | "threads"> {
  /** The length of each message in bytes. All its bytes are its number, from 1 on. */
  readonly lengths: readonly number[];
  /** How many are put in at a time, and taken out. */
  readonly puts: number;
  readonly takes: number;
  /** The index of the first word. */
  readonly start?: number;
  /** Written and read where they are. */
  readonly inPlace?: boolean;
  /** Whether a third thread goes on as the producer once the first one has put in half of them. */
  readonly heir?: boolean;
}

/** Messages go from the first thread to the second, which stops when it is told that there are no more. */
function messages(options: MessageCase): Case {
  const { lengths, puts, takes, start = 0, inPlace = false, heir = false, ...rest } = options;
  const half = WORDS;
  const last = lengths.length;
  const lengthOf = (message: number): number => lengths[message - 1] as number;
  return {
    ...rest,
    threads: heir ? 3 : 2,
    words: WORDS + LINE_WORDS,
    describe,
    setup(world: World): Program {
      for (const at of [0, 1, LINE_WORDS, LINE_WORDS + 1]) world.words[at] = start;
      const ring = (): MessageCore =>
        new MessageCore(world.words.subarray(0, WORDS), SHAPE, CAPACITY);
      /** Adds a message. */
      const write = (core: MessageCore, message: number): boolean => {
        const length = lengthOf(message);
        if (!inPlace) return core.write(new Uint8Array(length).fill(message), length);
        const { bytes } = core;
        const at = core.place(length);
        if (at === NONE) return false;
        for (let byte = 0; byte < length; byte++) bytes[at + byte] = message;
        core.add(length);
        return true;
      };
      const put = function* (thread: number, from: number, to: number): Wait<void> {
        const me = world.waiter(thread);
        const core = ring();
        for (let next = from; next <= to;) {
          const count = Math.min(puts, to + 1 - next);
          let done = 0;
          world.operation("put");
          yield* until(me, core.notFull, () => {
            core.begin();
            for (done = 0; done < count;) {
              if (!write(core, next + done)) break;
              done++;
            }
            if (done > 0) core.publish(me);
            return done > 0;
          });
          world.done();
          next += done;
        }
      };
      /** Finds a message, checks it and passes it. */
      const read = (core: MessageCore, me: Waiter, message: number): boolean => {
        const { bytes } = core;
        const length = core.find(me);
        if (length === NONE) return false;
        world.check(length === lengths[message - 1], `message ${message} has ${length} bytes`);
        const found = new Uint8Array(length);
        if (inPlace) {
          const at = core.foundAt();
          for (let byte = 0; byte < length; byte++) found[byte] = bytes[at + byte] as number;
        } else core.read(found, length);
        world.check(found.every((byte) => byte === message), `${found} in message ${message}`);
        core.pass();
        return true;
      };
      const take = function* (): Wait<void> {
        const me = world.waiter(1);
        const core = ring();
        for (let next = 1; next <= last;) {
          let got = 0;
          let isOver = false;
          const pop = (): boolean => {
            core.rewind();
            for (got = 0; got < takes;) {
              if (!read(core, me, next + got)) break;
              got++;
            }
            if (got > 0) core.release(me);
            return got > 0;
          };
          world.operation("take");
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
          next += got;
          const used = core.used();
          world.check(used >= 0 && used <= CAPACITY, `${used} words`);
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

/** A consumer that sleeps is told that there is no more, or finds out when the producer dies at any moment. */
function ending(options: Pick<Case, "name" | "preemptions" | "kills" | "victim">): Case {
  const lengths = [5, 12, 3];
  return {
    ...options,
    threads: 2,
    words: WORDS,
    describe,
    setup(world: World): Program {
      let count = 0;
      const ring = (): MessageCore => new MessageCore(world.words, SHAPE, CAPACITY);
      const putter = function* (): Wait<void> {
        const me = world.waiter(0);
        const core = ring();
        for (const [index, length] of lengths.entries()) {
          const source = new Uint8Array(length).fill(index + 1);
          yield* until(me, core.notFull, () => core.push(me, source, length));
        }
        core.close(me);
      };
      const taker = function* (): Wait<void> {
        const me = world.waiter(1);
        const core = ring();
        const target = new Uint8Array(core.maxBytes);
        const pop = (): boolean => {
          core.rewind();
          const length = core.find(me);
          if (length === NONE) return false;
          core.read(target, length);
          core.pass();
          core.release(me);
          world.check(length === lengths[count], `${length} bytes`);
          count++;
          world.check(target.subarray(0, length).every((byte) => byte === count), `${target}`);
          return true;
        };
        for (let isOver = false; !isOver;) {
          yield* until(me, core.notEmpty, () => {
            if (pop()) return true;
            if (!core.closed() && me.alive(1)) return false;
            if (!pop()) isOver = true;
            return true;
          });
        }
      };
      const end = (): void => {
        // The words of one, two and three messages, with those that were skipped.
        const put = [0, 3, 7, 10].indexOf(world.words[0] as number);
        world.check(count === put, `${count} of ${put} messages`);
        world.check(put === lengths.length || world.killed(0), `${put} messages`);
      };
      return { threads: [putter, taker], end };
    },
  };
}

const mutants: readonly (Omit<Mutant, "file"> & { readonly file?: string })[] = [
  {
    name: "the producer's index is stored without order",
    find: "    Atomics.store(this.#words, TAIL, this.#end);",
    replace: "    this.#words[TAIL] = this.#end;",
  },
  {
    name: "the consumer's index is stored without order",
    find: "    Atomics.store(this.#words, HEAD, this.#passed);",
    replace: "    this.#words[HEAD] = this.#passed;",
  },
  {
    name: "a message is there before its bytes are",
    find: "    if (length <= SHORT) {\n",
    replace: "    this.add(length);\n    Atomics.store(this.#words, TAIL, this.#end);\n" +
      "    this.begin();\n    this.#end = (this.#end - wordsOf(length)) | 0;\n" +
      "    if (length <= SHORT) {\n",
  },
  {
    name: "the room is there before the message has been read",
    find: "    this.#after = (this.#passed + skipped + size) | 0;",
    replace: "    this.#after = (this.#passed + skipped + size) | 0;\n" +
      "    Atomics.store(words, HEAD, this.#after);",
  },
  {
    name: "a word more than there is room for",
    find: "return this.#capacity - ((this.#end - head) | 0);",
    replace: "return this.#capacity + 1 - ((this.#end - head) | 0);",
  },
  {
    name: "skips words that it has no room for",
    find: "const needed = skipped + size;",
    replace: "const needed = size;",
  },
  {
    name: "a message reaches over the end of the memory",
    find: "const skipped = size > toEnd ? toEnd : 0;",
    replace: "const skipped = size > toEnd + 1 ? toEnd : 0;",
  },
  {
    name: "skips words and does not say so",
    find: "    if (skipped > 0) words[RECORDS + start] = SKIP;\n",
    replace: "",
  },
  {
    name: "the producer does not count words that it skips",
    find: "this.#end = (this.#end + skipped + wordsOf(length)) | 0;",
    replace: "this.#end = (this.#end + wordsOf(length)) | 0;",
  },
  {
    name: "the consumer does not count words that it skips",
    find: "      skipped = capacity - at;\n",
    replace: "      skipped = 0;\n",
  },
  {
    name: "a message of whole words has one more",
    find: "  return 1 + ((length + 3) >>> 2);",
    replace: "  return 1 + ((length + 2) >>> 2);",
  },
  {
    name: "a batch leaves out what was put in before",
    find: "    this.begin();\n    if (!this.write(source, length)) return false;",
    replace: "    this.#end = this.#words[HEAD_SEEN] as number;\n" +
      "    if (!this.write(source, length)) return false;",
  },
  {
    name: "what the consumer saw is not taken up to date",
    find: "    this.#words[TAIL_SEEN] = tail;\n    return (tail - this.#passed) | 0;",
    replace: "    this.#words[TAIL_SEEN] = tail + 1;\n    return (tail - this.#passed) | 0;",
  },
  {
    name: "indices that wrap are compared without that",
    find: "    return (tail - this.#passed) | 0;",
    replace: "    return tail - this.#passed;",
  },
  {
    name: "a consumer that sleeps is not told of messages",
    find: `    Atomics.store(this.#words, TAIL, this.#end);
    if (this.notEmpty.mayWait()) this.notEmpty.notifyAll(me);`,
    replace:
      `    const isAwaited = Atomics.load(this.#words, TAIL) !== this.#end && this.notEmpty.mayWait();
    Atomics.store(this.#words, TAIL, this.#end);
    if (isAwaited) this.notEmpty.notifyAll(me);`,
  },
  {
    name: "a producer that sleeps is not told of room",
    find: "    if (this.notFull.mayWait()) this.notFull.notifyAll(me);\n",
    replace: "",
  },
  {
    name: "it is closed before those who sleep are told",
    find: `    Atomics.store(this.#words, CLOSED, 1);
    this.notEmpty.notifyAll(me);`,
    replace: `    this.notEmpty.notifyAll(me);
    Atomics.store(this.#words, CLOSED, 1);`,
  },
  {
    name: "a consumer that sleeps does not look when a thread dies",
    file: "lib/structs/rings/ring_words.ts",
    find: "    notEmpty: new EventCountCore(words.subarray(first, second), shape, true),",
    replace: "    notEmpty: new EventCountCore(words.subarray(first, second), shape, false),",
  },
];

/** A ring of eight words, so that it is often full or empty, and its end often reached. */
export const specs: readonly Spec[] = [{
  name: "MessageCore",
  cases: [
    messages({ name: "one by one", preemptions: 3, lengths: [4, 9, 12, 1], puts: 1, takes: 1 }),
    messages({
      name: "batches",
      preemptions: 2,
      lengths: [1, 8, 5, 0, 12, 3],
      puts: 2,
      takes: 2,
    }),
    messages({
      name: "more than there is room for",
      preemptions: 2,
      lengths: [12, 12, 5, 8, 0, 12],
      puts: 3,
      takes: 1,
    }),
    messages({
      name: "indices wrap",
      preemptions: 2,
      lengths: [4, 8, 11, 12],
      puts: 1,
      takes: 2,
      start: 2 ** 31 - 4,
    }),
    messages({
      name: "in place",
      preemptions: 3,
      lengths: [5, 12, 0, 7],
      puts: 2,
      takes: 1,
      inPlace: true,
    }),
    messages({
      name: "woken for no reason",
      preemptions: 2,
      spurious: 2,
      lengths: [12, 7, 12],
      puts: 1,
      takes: 2,
    }),
    messages({
      name: "another producer goes on",
      preemptions: 2,
      lengths: [4, 12, 9, 3],
      puts: 1,
      takes: 2,
      heir: true,
    }),
    ending({ name: "closed while the other one sleeps", preemptions: 3 }),
    ending({ name: "death of the producer", preemptions: 2, kills: 1, victim: 0 }),
  ],
  mutants: mutants.map((mutant) => ({ file: "lib/structs/rings/message_core.ts", ...mutant })),
}];
