import { ChannelCore, NO_LANE } from "../../../lib/structs/channels/channel_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

/** Words of messages in a lane: two messages of four bytes. */
const CAPACITY = 4;
const THREADS = 3;
const SHAPE = { threads: THREADS, domains: 1 };

/** Takes something, or sleeps until it can. Says whether it gave up. */
function* until(me: Waiter, events: ChannelCore["bell"], take: () => boolean): Wait<boolean> {
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

/** A message of a thread. */
const numberOf = (thread: number, message: number): number => thread * 16 + message;

interface ChannelCase extends Omit<Case, "words" | "setup" | "threads"> {
  readonly lanes: number;
  /**
   * What each thread does: a number sends so many messages; l leaves its lane; e says that it has sent all; r receives
   * until it is closed, x once.
   */
  readonly roles: readonly string[];
}

/** What the threads of a run do. */
class Run {
  readonly #options: ChannelCase;
  readonly #world: World;
  readonly #words: number;
  /** What was received, in this order. */
  readonly #received: number[] = [];
  /** How many messages each thread has put in, for sure. */
  readonly #sent: number[];
  /** Lanes that were claimed and not left, by thread. */
  readonly #lanes: number[];

  constructor(options: ChannelCase, world: World, words: number) {
    this.#options = options;
    this.#world = world;
    this.#words = words;
    this.#sent = options.roles.map(() => 0);
    this.#lanes = options.roles.map(() => NO_LANE);
  }

  core(): ChannelCore {
    const { lanes } = this.#options;
    return new ChannelCore(this.#world.words.subarray(0, this.#words), SHAPE, lanes, CAPACITY);
  }

  /** Closes the channel if all others have sent what they had to, or have died. */
  finish(thread: number): void {
    const me = this.#world.waiter(thread);
    Atomics.and(this.#world.words, this.#words, ~(1 << thread));
    if (this.#areDone(me)) this.core().close(me);
  }

  *send(thread: number, count: number): Wait<void> {
    const world = this.#world;
    const me = world.waiter(thread);
    const core = this.core();
    let lane = NO_LANE;
    for (let round = 0; lane === NO_LANE; round++) {
      lane = core.claim(me);
      if (lane === NO_LANE) me.spin(round);
    }
    world.check(
      this.#lanes.every((other, at) => other !== lane || at === thread || world.killed(at)),
      `lane ${lane} has two owners`,
    );
    this.#lanes[thread] = lane;
    world.note(thread * 8 + lane);
    const ring = core.lane(lane);
    const bytes = new Uint8Array(4);
    for (let message = 1; message <= count; message++) {
      bytes.fill(numberOf(thread, message));
      world.operation("send");
      yield* until(me, ring.notFull, () => ring.push(me, bytes, 4));
      world.done();
      this.#sent[thread] = message;
    }
  }

  leave(thread: number): void {
    const lane = this.#lanes[thread] as number;
    this.#lanes[thread] = NO_LANE;
    this.core().leave(this.#world.waiter(thread), lane);
  }

  /** Takes a message if there is one. */
  pop(core: ChannelCore, me: Waiter): boolean {
    const world = this.#world;
    const lane = core.poll();
    if (lane === NO_LANE) return false;
    const ring = core.lane(lane);
    const length = ring.find(me);
    world.check(length === 4, `a message of ${length} bytes`);
    const bytes = new Uint8Array(4);
    ring.read(bytes, 4);
    ring.pass();
    core.turn(lane);
    const [number = 0] = bytes;
    world.check(bytes.every((byte) => byte === number), `${bytes}`);
    // Before it is taken out for good: who is killed there leaves it to the next one.
    this.#received.push(number);
    world.note(number);
    ring.release(me);
    return true;
  }

  *receive(thread: number, sleeps: boolean): Wait<void> {
    const world = this.#world;
    const me = world.waiter(thread);
    const core = this.core();
    for (let round = 0; !core.receives(me); round++) me.spin(round);
    const isMortal = this.#options.kills !== undefined;
    let isOver = false;
    while (!isOver) {
      world.operation("receive");
      yield* until(me, core.bell, () => {
        if (this.pop(core, me)) return true;
        if (!core.closed() && !(isMortal && this.#areDone(me))) return false;
        if (!this.pop(core, me)) isOver = true;
        return true;
      });
      world.done();
      if (!sleeps) break;
    }
    core.resign(me);
  }

  /** Whether nobody that lives has anything to send. */
  #areDone(me: Waiter): boolean {
    const left = Atomics.load(this.#world.words, this.#words);
    for (let thread = 0; thread < THREADS; thread++) {
      if ((left & (1 << thread)) !== 0 && me.alive(thread + 1)) return false;
    }
    return true;
  }

  /** All messages of each thread were received in their order: once; or twice, if a receiver was killed. */
  end(): void {
    const world = this.#world;
    const { roles } = this.#options;
    const receivers = [...roles.keys()].filter((thread) => /[rx]/.test(roles[thread] as string));
    if (receivers.every((thread) => world.killed(thread))) return;
    for (const [thread, sent] of this.#sent.entries()) {
      const found = this.#received.filter((number) => number >> 4 === thread);
      const messages = found.map((number) => number & 15);
      const once = messages.filter((message, at) => message !== messages[at - 1]);
      const most = sent + Number(world.killed(thread));
      const twice = messages.length - once.length;
      world.check(
        twice <= receivers.filter((at) => world.killed(at)).length &&
          once.length >= sent && once.length <= most &&
          once.every((message, at) => message === at + 1),
        `${sent} messages of thread ${thread}: ${messages}`,
      );
    }
  }
}

function channel(options: ChannelCase): Case {
  const { lanes, roles, ...rest } = options;
  const words = ChannelCore.words(SHAPE, lanes, CAPACITY);
  const owners = 2 * LINE_WORDS;
  const names: Record<number, string> = {
    0: "closed",
    1: "top",
    [LINE_WORDS]: "receiver",
    [LINE_WORDS + 1]: "cursor",
    [words]: "senders left",
  };
  return {
    ...rest,
    threads: roles.length,
    words: words + LINE_WORDS,
    describe: (word) =>
      names[word] ??
        (word >= owners && word < owners + lanes ? `owner[${word - owners}]` : `words[${word}]`),
    setup(world: World): Program {
      const run = new Run(options, world, words);
      for (const [thread, role] of roles.entries()) {
        if (/\d/.test(role)) world.words[words] = (world.words[words] as number) | (1 << thread);
      }
      const threads = roles.map((role, thread): Thread =>
        function* (): Wait<void> {
          for (const letter of role) {
            if (letter === "l") run.leave(thread);
            else if (letter === "e") run.finish(thread);
            else if (letter === "r" || letter === "x") yield* run.receive(thread, letter === "r");
            else yield* run.send(thread, Number(letter));
          }
        }
      );
      return { threads, end: () => run.end() };
    },
  };
}

const mutants: readonly (Omit<Mutant, "file"> & { readonly file?: string })[] = [
  {
    name: "owns a word without a look at who was faster",
    find: "if (Atomics.compareExchange(words, at, owner, me.id) === owner) return true;",
    replace: "if (Atomics.store(words, at, me.id) === me.id) return true;",
  },
  {
    name: "owns a word that a faster thread has owned",
    find: "if (Atomics.compareExchange(words, at, owner, me.id) === owner) return true;",
    replace: "if (Atomics.compareExchange(words, at, owner, me.id) !== me.id) return true;",
  },
  {
    name: "owns a word whose owner lives",
    find: "      if (owner !== 0 && me.alive(owner)) return false;\n",
    replace: "",
  },
  {
    name: "nobody follows a dead thread",
    find: "      if (owner !== 0 && me.alive(owner)) return false;\n",
    replace: "      if (owner !== 0) return false;\n",
  },
  {
    name: "gives up when another thread was faster, and has left",
    find: "const TRIES = 16;",
    replace: "const TRIES = 1;",
  },
  {
    name: "a lane is used that the receiver does not know of",
    find: "    raise(this.#words, TOP, lane + 1);\n",
    replace: "",
  },
  {
    name: "the receiver does not know of the last lane",
    find: "    raise(this.#words, TOP, lane + 1);\n",
    replace: "    raise(this.#words, TOP, lane);\n",
  },
  {
    name: "the second look is without order, too",
    find: "    fence();\n",
    replace: "",
  },
  {
    name: "it is closed after the receiver was told",
    find: "    Atomics.store(this.#words, CLOSED, 1);\n    this.bell.notifyAll(me);",
    replace: "    this.bell.notifyAll(me);\n    Atomics.store(this.#words, CLOSED, 1);",
  },
  {
    name: "lanes ring no bell",
    find: "        notEmpty: this.bell,",
    replace: "        notEmpty: new EventCountCore(full, shape, true),",
  },
  {
    name: "a receiver that sleeps does not look when a thread dies",
    find: "    this.bell = new EventCountCore(words.subarray(bell, bell + events), shape, true);",
    replace:
      "    this.bell = new EventCountCore(words.subarray(bell, bell + events), shape, false);",
  },
  {
    name: "what follows is seen where there is nothing",
    file: "lib/structs/rings/message_core.ts",
    find: "    if (isThere) this.#words[TAIL_SEEN] = tail;\n    return isThere;",
    replace: "    if (isThere) this.#words[TAIL_SEEN] = tail + 1;\n    return isThere;",
  },
];

/** Lanes with room for two messages. */
export const specs: readonly Spec[] = [{
  name: "ChannelCore",
  cases: [
    channel({ name: "two senders", preemptions: 2, lanes: 2, roles: ["1e", "1e", "r"] }),
    channel({ name: "more than there is room for", preemptions: 2, lanes: 1, roles: ["4e", "r"] }),
    channel({ name: "one lane for two", preemptions: 2, lanes: 1, roles: ["1le", "1le", "r"] }),
    channel({ name: "three senders", preemptions: 2, lanes: 2, roles: ["0le", "0le", "0le"] }),
    channel({ name: "two receivers", preemptions: 2, lanes: 1, roles: ["2e", "x", "r"] }),
    channel({
      name: "woken for no reason",
      preemptions: 2,
      spurious: 1,
      lanes: 2,
      roles: ["2e", "r"],
    }),
    channel({
      name: "death of a sender",
      preemptions: 1,
      kills: 1,
      victim: 0,
      lanes: 1,
      roles: ["1le", "1le", "r"],
    }),
    channel({
      name: "death of a receiver",
      preemptions: 1,
      kills: 1,
      victim: 1,
      lanes: 1,
      roles: ["1er", "r", "r"],
    }),
    channel({
      name: "death of all who send",
      preemptions: 2,
      kills: 1,
      victim: 0,
      lanes: 2,
      roles: ["2e", "r"],
    }),
  ],
  mutants: mutants.map((mutant) => ({
    file: "lib/structs/channels/channel_core.ts",
    ...mutant,
  })),
}];
