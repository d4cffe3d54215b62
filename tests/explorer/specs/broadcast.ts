import { BroadcastCore, BroadcastCursor, DONE } from "../../../lib/structs/rings/broadcast_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const FILE = "lib/structs/rings/broadcast_core.ts";
const AT = { owner: 0, tail: 1, reserved: 2, halves: 3 };
/** No more will come. */
const OVER = -1;

/** Does something, or sleeps until it can. */
function* until(me: Waiter, events: BroadcastCore["published"], step: () => number): Wait<number> {
  for (;;) {
    const first = step();
    if (first !== 0) return first;
    events.prepare(me);
    const last = step();
    if (last !== 0) {
      events.cancel(me);
      return last;
    }
    yield* events.wait(me);
  }
}

/** What a consumer does: how many records it takes at a time. */
interface Consumer {
  readonly room: number;
  /** Where it begins: at the first record, or where the ring is when it comes. Default: at the first one. */
  readonly joins?: "first" | "now" | "oldest";
  /** It looks at the records once the ring is closed. */
  readonly late?: boolean;
  /** It looks again and again, and never sleeps. */
  readonly spins?: boolean;
}

interface Broadcast extends Omit<Case, "words" | "setup" | "threads"> {
  readonly capacity?: number;
  readonly size?: number;
  /** The last number: the first one is 1. */
  readonly last: number;
  /** How many are published at a time. */
  readonly puts: number;
  /** Threads after the producer. */
  readonly consumers: readonly Consumer[];
  /** Whether there is one more thread, which goes on when the producer is dead, so many at a time. */
  readonly heirPuts?: number;
  /** Whether the ring is closed after all have read the last record: closing it wakes them. */
  readonly awaited?: boolean;
  /** How many records were published before the first one. */
  readonly start?: number;
}

/** One thread publishes numbers and closes the ring; others read them, and count what they have missed. */
function broadcast(options: Broadcast): Case {
  const {
    capacity = 2,
    size = 1,
    last,
    puts,
    consumers,
    heirPuts,
    start = 0,
    awaited = false,
    ...rest
  } = options;
  const threads = 1 + consumers.length + (heirPuts === undefined ? 0 : 1);
  const shape = { threads, domains: 1 };
  const words = BroadcastCore.words(shape, capacity, size);
  /** How many consumers have read the last record. */
  const ready = words;
  const names = ["owner", "tail", "reserved", "halves", "closed"];
  return {
    ...rest,
    threads,
    words: words + LINE_WORDS,
    describe: (word) =>
      names[word] ??
        (word >= LINE_WORDS && word < LINE_WORDS + capacity * size ? "record" : `words[${word}]`),
    setup(world: World): Program {
      world.words[AT.tail] = world.words[AT.reserved] = start | 0;
      world.words[AT.halves] = Math.floor(start / 2 ** 31);
      // The first thread is the producer from the start.
      world.words[AT.owner] = 1;
      /** Numbers that are certain to be out, and that may be. */
      let out = 0;
      let begun = 0;
      const ring = (): BroadcastCore =>
        new BroadcastCore(world.words.subarray(0, words), shape, capacity, size);
      const publish = (core: BroadcastCore, me: Waiter, first: number, batch: number): void => {
        for (let next = first; next <= last;) {
          const count = Math.min(batch, last + 1 - next);
          const source = new Int32Array(count * size);
          for (let word = 0; word < count * size; word++) {
            source[word] = next + Math.floor(word / size);
          }
          next += count;
          begun = Math.max(begun, next - 1);
          world.note(begun);
          world.operation("publish");
          world.check(core.publish(me, source, count) === DONE, "it is the producer");
          world.done();
          out = next - 1;
          world.note(out);
        }
        const isReady = (): boolean =>
          !awaited || Atomics.load(world.words, ready) === consumers.length;
        for (let round = 0; !isReady(); round++) me.spin(round);
        world.check(core.close(me) === DONE, "it is the producer still");
      };
      const producer = (): void => {
        const me = world.waiter(0);
        const core = ring();
        world.check(core.adopt(me), "nobody else can be");
        publish(core, me, 1, puts);
      };
      const heir = function* (): Wait<void> {
        const me = world.waiter(threads - 1);
        const core = ring();
        const step = (): number => core.closed() ? OVER : core.adopt(me) ? 1 : 0;
        if ((yield* until(me, core.published, step)) === OVER) return;
        if (core.closed()) return;
        // Nobody else will publish, or close it.
        publish(core, me, core.count() - start + 1, heirPuts ?? 1);
      };
      const consumer = (
        index: number,
        { room, joins = "first", late, spins }: Consumer,
      ): Thread => {
        const me = world.waiter(1 + index);
        return function* (): Wait<void> {
          const core = ring();
          const target = new Int32Array(room * size);
          if (late === true) yield* until(me, core.published, () => core.closed() ? 1 : 0);
          let from = start;
          if (joins !== "first") {
            const before = out;
            const reserved = joins === "oldest" ? core.reserved() : core.count();
            world.note(before);
            world.note(begun);
            from = joins === "oldest" ? Math.max(start, reserved - capacity) : reserved;
            world.check(joins === "oldest" || from - start >= before, "joins too early");
            world.check(from - start <= begun, "joins too late");
          }
          const cursor = new BroadcastCursor(core, from);
          let seen = 0;
          const step = (): number => {
            const found = cursor.read(target, room);
            if (found !== 0 || !core.closed()) return found;
            const more = cursor.read(target, room);
            return more === 0 ? OVER : more;
          };
          for (let round = 0;;) {
            const got = spins === true ? step() : yield* until(me, core.published, step);
            if (got === OVER) break;
            if (got === 0) {
              me.spin(round++);
              continue;
            }
            round = 0;
            world.check(got <= Math.min(room, capacity), `${got} records`);
            seen += got;
            const first = cursor.position() - start - got + 1;
            for (let word = 0; word < got * size; word++) {
              const wanted = first + Math.floor(word / size);
              world.check(target[word] === wanted, `${target[word]} in place of ${wanted}`);
            }
            if (cursor.position() === last + start) Atomics.add(world.words, ready, 1);
          }
          const all = last + start - from;
          world.check(cursor.missed() >= 0, `${cursor.missed()} missed`);
          world.check(
            seen + cursor.missed() === all && cursor.position() === last + start,
            `${seen} seen and ${cursor.missed()} missed of ${all}`,
          );
          if (last <= capacity) world.check(cursor.missed() === 0, `${cursor.missed()} missed`);
          if (late === true && heirPuts === undefined) {
            world.check(seen === Math.min(all, capacity), `${seen} read of those that are there`);
          }
        };
      };
      return {
        threads: [
          producer,
          ...consumers.map((one, index) => consumer(index, one)),
          ...(heirPuts === undefined ? [] : [heir]),
        ],
      };
    },
  };
}

/** What the copy and the store of `tail` look like, for mutants of their order. */
const RESERVE = "      Atomics.store(words, RESERVED, next);\n";
const PUBLISH = "    Atomics.store(words, TAIL, next);\n";
const NOTIFY = "    if (this.published.mayWait()) this.published.notifyAll(me);\n";

const mutants: readonly (Omit<Mutant, "file"> & { readonly file?: string })[] = [
  {
    name: "records are there before they are",
    find: "    const size = this.size;\n    const end = this.#end;\n    let at = RECORDS",
    replace: "    Atomics.store(words, TAIL, next);\n" +
      "    const size = this.size;\n    const end = this.#end;\n    let at = RECORDS",
  },
  { name: "their places are not reserved", find: RESERVE, replace: "" },
  {
    name: "their places are reserved when they are written",
    find: PUBLISH,
    replace: `${PUBLISH}    Atomics.store(words, RESERVED, next);\n`,
  },
  {
    name: "one place less is reserved",
    find: RESERVE,
    replace: "      Atomics.store(words, RESERVED, (next - 1) | 0);\n",
  },
  {
    name: "an heir gives back what is overwritten",
    find: "    if (((next - reserved) | 0) > 0) {",
    replace: "    if (next !== reserved) {",
  },
  {
    name: "whether more was reserved is asked without wrapping",
    find: "    if (((next - reserved) | 0) > 0) {",
    replace: "    if (next > reserved) {",
  },
  {
    name: "sleepers are told before there is something",
    find: PUBLISH + NOTIFY,
    replace: NOTIFY + PUBLISH,
  },
  { name: "nobody is told", find: NOTIFY, replace: "" },
  {
    name: "one sleeper is told",
    find: NOTIFY,
    replace: "    if (this.published.mayWait()) this.published.notify(me);\n",
  },
  {
    name: "sleepers do not look when a thread dies",
    find: "new EventCountCore(words.subarray(events, end), shape, true);",
    replace: "new EventCountCore(words.subarray(events, end), shape, false);",
  },
  {
    name: "the end of the memory is not its start, for the producer",
    find: `      else Atomics.store(words, at, source[word] as number);
      if (++at === end) at = RECORDS;`,
    replace: `      else Atomics.store(words, at, source[word] as number);
      if (++at === end) at = RECORDS + size;`,
  },
  {
    name: "the end of the memory is not its start, for consumers",
    find: "if (++from === end) from = RECORDS;",
    replace: "if (++from === end) from = RECORDS + size;",
  },
  {
    name: "sleepers are told before it is closed",
    find: `    Atomics.store(words, CLOSED, 1);
    this.published.notifyAll(me);`,
    replace: `    this.published.notifyAll(me);
    Atomics.store(words, CLOSED, 1);`,
  },
  {
    name: "a living producer is replaced",
    find: "    if (me.alive(owner)) return false;\n",
    replace: "",
  },
  {
    name: "nobody succeeds a dead producer",
    find: "    if (me.alive(owner)) return false;\n",
    replace: "    if (me.alive(owner) || owner > 0) return false;\n",
  },
  {
    name: "halves are not counted",
    find: "      if ((next ^ reserved) < 0) this.#countHalf(next);\n",
    replace: "",
  },
  {
    name: "halves are counted after the number is out",
    find: `      if ((next ^ reserved) < 0) this.#countHalf(next);
      Atomics.store(words, RESERVED, next);`,
    replace: `      Atomics.store(words, RESERVED, next);
      if ((next ^ reserved) < 0) this.#countHalf(next);`,
  },
  {
    name: "an heir counts a half again",
    find: "    if (((halves << 31) ^ next) < 0) Atomics.store(",
    replace: "    if (halves !== next) Atomics.store(",
  },
  {
    name: "halves that are ahead are taken as they are",
    find: "    if (((halves << 31) ^ reserved) < 0) halves = (halves - 1) | 0;\n",
    replace: "",
  },
  {
    name: "the copy is not looked at again",
    find: "        if (lost < n && !this.#isFar(",
    replace: "        if (!this.#isFar(",
  },
  {
    name: "the copy is compared with what is published",
    find: "        const lost = ((loadShared(words, RESERVED) - at) >>> 0) - capacity;",
    replace: "        const lost = ((loadShared(words, TAIL) - at) >>> 0) - capacity;",
  },
  {
    name: "a record is whole too long",
    find: "        const lost = ((loadShared(words, RESERVED) - at) >>> 0) - capacity;",
    replace: "        const lost = ((loadShared(words, RESERVED) - at) >>> 0) - capacity - 1;",
  },
  {
    name: "torn records at the start of a copy are kept",
    find: "            target[word - skip] = target[word] as number;\n",
    replace: "",
  },
  {
    name: "torn records at the start of a copy are not counted",
    find: "          this.#missed += lost;\n",
    replace: "",
  },
  {
    name: "what is overtaken is not counted",
    find: "    this.#missed += Math.max(0, next - before);\n",
    replace: "",
  },
  {
    name: "it goes on at the newest record",
    find: "const next = oldest + (round === 0 ? 0 : whole - (whole >> round));",
    replace: "const next = oldest + Math.max(0, whole - 1);",
  },
  {
    name: "it goes on before the oldest whole record",
    find: "    const oldest = Math.max(0, reserved - this.#capacity);",
    replace: "    const oldest = Math.max(0, reserved - this.#capacity - 1);",
  },
  {
    name: "a consumer's number wraps and its half does not",
    find: "    if ((at ^ next) < 0) this.#half = (this.#half + 1) | 0;\n",
    replace: "",
  },
  {
    name: "it joins by an older look at what is reserved",
    find: `    const tail = Atomics.load(this.words, TAIL);
    const reserved = this.reserved();
    return`,
    replace: `    const reserved = this.reserved();
    const tail = Atomics.load(this.words, TAIL);
    return`,
  },
];

export const specs: readonly Spec[] = [{
  name: "BroadcastCore",
  cases: [
    broadcast({
      name: "all that there is room for",
      preemptions: 2,
      fullPreemptions: 3,
      capacity: 4,
      last: 4,
      puts: 2,
      consumers: [{ room: 3 }, { room: 2 }],
    }),
    broadcast({
      name: "overtaken",
      preemptions: 3,
      last: 4,
      puts: 1,
      size: 2,
      consumers: [{ room: 1, spins: true }],
    }),
    broadcast({
      name: "overtaken by batches",
      preemptions: 3,
      last: 5,
      puts: 2,
      consumers: [{ room: 2, spins: true }],
    }),
    broadcast({
      name: "overtaken in a copy of several",
      preemptions: 3,
      capacity: 4,
      last: 7,
      puts: 1,
      consumers: [{ room: 3, spins: true }],
    }),
    broadcast({
      name: "a sleeping consumer",
      preemptions: 2,
      fullPreemptions: 3,
      last: 3,
      puts: 1,
      awaited: true,
      consumers: [{ room: 2 }],
    }),
    broadcast({
      name: "sleeping consumers",
      preemptions: 1,
      fullPreemptions: 2,
      last: 3,
      puts: 2,
      awaited: true,
      consumers: [{ room: 1 }, { room: 2 }],
    }),
    broadcast({
      name: "late",
      preemptions: 2,
      capacity: 4,
      last: 7,
      puts: 2,
      consumers: [{ room: 4, late: true }, { room: 1, late: true, joins: "oldest" }],
    }),
    broadcast({
      name: "joins meanwhile",
      preemptions: 3,
      last: 3,
      puts: 1,
      consumers: [{ room: 2, joins: "now" }],
    }),
    broadcast({
      name: "joins meanwhile, at the oldest",
      preemptions: 3,
      last: 3,
      puts: 2,
      consumers: [{ room: 2, joins: "oldest" }],
    }),
    broadcast({
      name: "numbers wrap",
      preemptions: 3,
      last: 4,
      puts: 1,
      start: 2 ** 31 - 2,
      consumers: [{ room: 2, spins: true, joins: "now" }],
    }),
    broadcast({
      name: "numbers wrap again",
      preemptions: 3,
      last: 5,
      puts: 2,
      start: 2 ** 32 - 2,
      consumers: [{ room: 1, spins: true, joins: "oldest" }],
    }),
    broadcast({
      name: "death of the producer",
      preemptions: 1,
      fullPreemptions: 2,
      kills: 1,
      victim: 0,
      last: 4,
      puts: 2,
      heirPuts: 1,
      consumers: [{ room: 2 }],
    }),
    broadcast({
      name: "death of the producer where numbers wrap",
      preemptions: 1,
      kills: 1,
      victim: 0,
      last: 5,
      puts: 2,
      heirPuts: 1,
      start: 2 ** 31 - 3,
      consumers: [{ room: 1, spins: true, joins: "oldest" }],
    }),
  ],
  mutants: mutants.map((mutant) => ({ file: FILE, ...mutant })),
  plainSteps: [FILE],
}];
