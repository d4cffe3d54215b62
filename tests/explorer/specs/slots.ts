import type { SlotsCore } from "../../../lib/wait/slots_core.ts";
import { ID_MASK, LINE_WORDS } from "../../../lib/wait/waiter.ts";
import { identityOf, SAID, SLOTS, slotsCase, STRANGER } from "../slots_spec.ts";
import type { Case, Mutant, Spec, Thread, World } from "../spec.ts";

const FILE = "lib/wait/slots_core.ts";

/** A dead thread with a wait of its own is buried by some, while others claim. */
function burial(
  name: string,
  buriers: number,
  claims: readonly number[],
  more: Partial<Case>,
): Case {
  return slotsCase(name, buriers + claims.length, more, (process, world) => {
    const dead = process.core.claim();
    process.core.claim(dead);
    const bury: Thread = () => {
      const core = process.view();
      core.bury(dead);
      world.check(!core.alive(dead), "who was buried is dead");
    };
    const claim = (times: number): Thread => () => {
      const core = process.view();
      let parent = 0;
      for (let time = 0; time < times; time++) {
        const id = process.live(core, parent);
        if (parent === 0) parent = id;
        else if (id !== 0) core.release(id);
      }
      if (parent !== 0) world.check(core.alive(parent), "who lives is alive");
    };
    return { threads: [...Array.from({ length: buriers }, () => bury), ...claims.map(claim)] };
  });
}

/** Waits for a thread to die, or to say that it has come to its end. Returns whether it died. */
function awaitDeath(world: World, thread: number, victim: number): boolean {
  const me = world.waiter(thread);
  for (let round = 0; me.alive(victim + 1); round++) {
    if (Atomics.load(world.words, SAID + victim) === 1) return false;
    me.spin(round);
  }
  return true;
}

/** A thread dies in the midst of its waits; another one buries it, and more claim. */
function dying(name: string, claims: readonly number[], more: Partial<Case>): Case {
  const threads = 2 + claims.length;
  return slotsCase(name, threads, { kills: 1, victim: 0, ...more }, (process, world) => {
    const victim = process.core.claim();
    const dies: Thread = () => {
      const core = process.view();
      core.release(process.live(core, victim));
      process.live(core, victim);
      Atomics.store(world.words, SAID, 1);
    };
    const buries: Thread = () => {
      if (!awaitDeath(world, 1, 0)) return;
      const core = process.view();
      core.bury(victim);
      world.check(!core.alive(victim), "who was buried is dead");
    };
    const claim = (times: number): Thread => () => {
      const core = process.view();
      for (let time = 0; time < times; time++) {
        const id = process.live(core);
        if (time > 0) core.release(id);
      }
    };
    return {
      threads: [dies, buries, ...claims.map(claim)],
      end: () => {
        if (world.killed(0)) process.checkFree(SLOTS - claims.length);
      },
    };
  });
}

/** Who buries a dead thread dies on the way; somebody who finds the dead one alive goes on. */
function dyingBurier(more: Partial<Case>): Case {
  return slotsCase("death of who buries", 2, { kills: 1, victim: 0, ...more }, (process, world) => {
    const dead = process.core.claim();
    process.core.claim(dead);
    return {
      threads: [
        () => {
          process.view().bury(dead);
          Atomics.store(world.words, SAID, 1);
        },
        () => {
          awaitDeath(world, 1, 0);
          const core = process.view();
          if (core.alive(dead)) core.bury(dead);
        },
      ],
      end: () => process.checkFree(SLOTS),
    };
  });
}

/** Threads look for the dead, while others give slots back, claim them and say who they are. */
function reaping(name: string, reapers: number, more: Partial<Case>): Case {
  return slotsCase(name, reapers + 1, more, (process, world) => {
    const dead = process.core.claim();
    process.core.setIdentity(dead, identityOf(STRANGER));
    const first = process.core.claim();
    process.core.setIdentity(first, identityOf(0));
    const lives: Thread = () => {
      const core = process.view();
      core.release(first);
      // As its launcher would.
      if (world.choose(2) === 1) core.bury(dead);
      const id = process.live(core);
      core.setIdentity(id, identityOf(0));
      const other = core.claim();
      world.check(core.alive(id), "who lives is alive");
      world.check(core.identityOf(id) === identityOf(0), "and is who it says");
      world.check(other === 0 || core.alive(other), "who has not said who it is is alive");
    };
    const reap = (thread: number): Thread => () => {
      process.view().reap(process.system(thread));
    };
    return {
      threads: [lives, ...Array.from({ length: reapers }, (_, index) => reap(index + 1))],
      end: () => world.check(!process.core.alive(dead), "the dead one is found"),
    };
  });
}

/** A thread goes, and another one comes; somebody asks for both who they are, and tells the first one to end. */
function succession(name: string, how: "identity" | "stop" | "wake", more: Partial<Case>): Case {
  return slotsCase(name, 2, more, (process, world) => {
    const { words } = world;
    const old = process.core.claim();
    process.core.setIdentity(old, identityOf(0));
    const changes: Thread = () => {
      const core = process.view();
      core.release(old);
      const id = process.live(core);
      Atomics.store(words, SAID, id);
      if (how === "identity") core.setIdentity(id, identityOf(1));
      if (how === "wake") {
        while (Atomics.load(words, SAID + 1) === 0) process.sleep(core, 0, id);
      }
      world.check(!core.stopped(id), "a stop was for another one");
      world.check(core.alive(id), "who lives is alive");
    };
    const asks: Thread = () => {
      const core = process.view();
      if (how === "stop") {
        core.stop(old);
        world.check(core.stopped(old), "who was told to end is to end");
        return;
      }
      if (how === "wake") {
        core.unpark(old);
        const me = world.waiter(1);
        for (let round = 0; Atomics.load(words, SAID) === 0; round++) me.spin(round);
        Atomics.store(words, SAID + 1, 1);
        core.unpark(Atomics.load(words, SAID));
        return;
      }
      const found = core.identityOf(old);
      world.check(found === 0 || found === identityOf(0), `the old one is ${found}`);
      const id = Atomics.load(words, SAID);
      const other = id === 0 ? 0 : core.identityOf(id);
      world.check(other === 0 || other === identityOf(1), `the new one is ${other}`);
    };
    return { threads: [changes, asks] };
  });
}

/** Threads claim at the same time, at the end of the generations. */
function claiming(name: string, threads: number, more: Partial<Case>): Case {
  return slotsCase(name, threads, more, (process, world) => {
    for (let slot = 0; slot < SLOTS; slot++) world.words[(1 + slot) * LINE_WORDS + 2] = 2 ** 17 - 2;
    const claims = (thread: number): Thread => () => {
      const core = process.view();
      let last = 0;
      for (let time = 0; time < 2; time++) {
        const id = process.live(core);
        world.check(id > 0 && id <= ID_MASK && id !== last, `${id} after ${last}`);
        Atomics.store(world.words, SAID + thread, id);
        for (let other = 0; other < threads; other++) {
          const same = other !== thread && Atomics.load(world.words, SAID + other) === id;
          world.check(!same, `two threads are ${id}`);
        }
        if (time === 0) {
          Atomics.store(world.words, SAID + thread, 0);
          core.release(id);
          world.check(!core.alive(id), "who has left is not alive");
        }
        last = id;
      }
    };
    return { threads: Array.from({ length: threads }, (_, thread) => claims(thread)) };
  });
}

/** One thread sleeps until another one has done something: said so, told it to end, buried a third one. */
function sleeping(name: string, how: "said" | "stop" | "bury", more: Partial<Case>): Case {
  return slotsCase(name, how === "said" ? 3 : 2, more, (process, world) => {
    const { words } = world;
    const dead = process.core.claim();
    const sleeper = process.core.claim();
    const waits = (core: SlotsCore): boolean => {
      if (how === "stop") return !core.stopped(sleeper);
      return how === "bury" ? core.alive(dead) : Atomics.load(words, SAID) < 2;
    };
    const sleeps: Thread = () => {
      const core = process.view();
      // A first sleep of no time at all ends at any moment of another thread's.
      if (world.choose(2) === 1 && waits(core)) {
        core.beginSleep(sleeper);
        core.endSleep(sleeper);
      }
      while (waits(core)) process.sleep(core, 0, sleeper);
    };
    const wakes: Thread = () => {
      const core = process.view();
      if (how === "stop") core.stop(sleeper);
      else if (how === "bury") core.bury(dead);
      else {
        Atomics.add(words, SAID, 1);
        core.unpark(sleeper);
      }
    };
    return { threads: how === "said" ? [sleeps, wakes, wakes] : [sleeps, wakes] };
  });
}

/** A thread dies at any moment while it wakes another one, and is buried: the other one does not sleep for ever. */
const dyingWaker: Case = slotsCase(
  "death of a waker",
  3,
  { preemptions: 2, kills: 1, victim: 1, slots: [0, 1, 1] },
  (process, world) => {
    const { words } = world;
    const waker = process.core.claim();
    const sleeper = process.core.claim();
    return {
      threads: [
        () => {
          const core = process.view();
          while (Atomics.load(words, SAID) === 0 && core.alive(waker)) {
            process.sleep(core, 0, sleeper);
          }
        },
        () => {
          Atomics.store(words, SAID, 1);
          process.view().unpark(sleeper);
        },
        // Begins once that one is dead.
        () => process.view().bury(waker),
      ],
    };
  },
);

/** A thread that was declared dead before it began has to end, whoever has its slot by then. */
const late: Case = slotsCase("a thread that begins too late", 3, {}, (process, world) => {
  const id = process.core.claim();
  return {
    threads: [
      () => {
        const core = process.view();
        const me = world.waiter(0);
        for (let round = 0; core.alive(id); round++) me.spin(round);
        core.setIdentity(id, identityOf(STRANGER));
        world.check(core.stopped(id), "who was declared dead is to end");
      },
      () => process.view().bury(id),
      () => {
        const core = process.view();
        const other = process.live(core);
        world.check(core.identityOf(other) === 0, "who has not said who it is is nobody");
      },
    ],
  };
});

const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "a burial clears whoever has the slot by then",
    find: "    Atomics.compareExchange(words, at + OWNER, owner, 0);\n  }",
    replace: "    Atomics.store(words, at + OWNER, 0);\n  }",
  },
  {
    name: "a burial looks at the parent before the owner",
    find: `    const owner = Atomics.load(words, at + OWNER);
    if (owner !== (RESERVED | dead)) {
      if (owner === 0 || (owner & RESERVED) !== 0) return;
      if (Atomics.load(words, at + PARENT) !== dead) return;`,
    replace: `    const parent = Atomics.load(words, at + PARENT);
    const owner = Atomics.load(words, at + OWNER);
    if (owner !== (RESERVED | dead)) {
      if (owner === 0 || (owner & RESERVED) !== 0) return;
      if (parent !== dead) return;`,
  },
  {
    name: "an id is alive before its parent is written",
    find: `      Atomics.store(words, at + PARENT, parent === 0 ? id : parent);
      if (Atomics.compareExchange(words, at + OWNER, mine, id) === mine) return id;`,
    replace: `      if (Atomics.compareExchange(words, at + OWNER, mine, id) !== mine) continue;
      Atomics.store(words, at + PARENT, parent === 0 ? id : parent);
      return id;`,
  },
  {
    name: "a slot that a dead thread has reserved is lost",
    find: "if (owner !== (RESERVED | dead)) {",
    replace: "if (owner !== 0) {",
  },
  {
    name: "a slot is in use before it is looked at",
    find: `      raise(words, HEAD.used, slot + 1);
      if (Atomics.compareExchange(words, at + OWNER, 0, mine) !== 0) continue;`,
    replace: `      if (Atomics.compareExchange(words, at + OWNER, 0, mine) !== 0) continue;
      raise(words, HEAD.used, slot + 1);`,
  },
  {
    name: "two threads take one slot",
    find: "if (Atomics.compareExchange(words, at + OWNER, 0, mine) !== 0) continue;",
    replace: "Atomics.store(words, at + OWNER, mine);",
  },
  {
    name: "the last generation comes twice",
    find: "const generation = before >= LAST_GENERATION ? 1 : before + 1;",
    replace: "const generation = Math.min(before + 1, LAST_GENERATION);",
  },
  {
    name: "a dead thread's own slot is freed first",
    find: `    for (let slot = 0; slot < used; slot++) {
      if (slot !== slotOf(id)) this.#free(slot, id);
    }
    this.#free(slotOf(id), id);`,
    replace: `    this.#free(slotOf(id), id);
    for (let slot = 0; slot < used; slot++) {
      if (slot !== slotOf(id)) this.#free(slot, id);
    }`,
  },
  {
    name: "a burial leaves the waits of a thread",
    find: "if (Atomics.load(words, at + PARENT) !== dead) return;",
    replace: "if (owner !== dead) return;",
  },
  {
    name: "a burial wakes nobody",
    find: "for (let slot = 0; slot < used; slot++) this.rouse(slot);",
    replace: "",
  },
  {
    name: "a burial leaves those to sleep whom the dead one was about to wake",
    find: "if (Atomics.exchange(this.#words, at, AWAKE) !== 0) this.#notify(at);",
    replace: "if (Atomics.exchange(this.#words, at, AWAKE) === ASLEEP) this.#notify(at);",
  },
  {
    name: "who was declared dead goes on",
    find: "Atomics.compareExchange(words, at + RUNS, owner, 0);",
    replace: "",
  },
  {
    name: "a stop is for whoever has the slot",
    find: "Atomics.compareExchange(this.#words, lineOf(slotOf(id)) + RUNS, id, 0);",
    replace: "Atomics.store(this.#words, lineOf(slotOf(id)) + RUNS, 0);",
  },
  {
    name: "a stop does not wake",
    find: "id, 0);\n    this.unpark(id);",
    replace: "id, 0);",
  },
  {
    name: "a stop wakes before it is there",
    find: `    Atomics.compareExchange(this.#words, lineOf(slotOf(id)) + RUNS, id, 0);
    this.unpark(id);`,
    replace: `    this.unpark(id);
    Atomics.compareExchange(this.#words, lineOf(slotOf(id)) + RUNS, id, 0);`,
  },
  {
    name: "a new owner is who the old one was",
    find: "      Atomics.store(words, at + KNOWN, 0);\n",
    replace: "",
  },
  {
    name: "the identity of a new owner is the old one's",
    find: "return this.alive(id) ? high * 2 ** 32 + low : 0;",
    replace: "return high * 2 ** 32 + low;",
  },
  {
    name: "an identity is known before it is written",
    find: `    Atomics.store(words, at + IDENTITY_LOW, identity | 0);
    Atomics.store(words, at + IDENTITY_HIGH, Math.floor(identity / 2 ** 32));
    Atomics.store(words, at + KNOWN, 1);`,
    replace: `    Atomics.store(words, at + KNOWN, 1);
    Atomics.store(words, at + IDENTITY_LOW, identity | 0);
    Atomics.store(words, at + IDENTITY_HIGH, Math.floor(identity / 2 ** 32));`,
  },
  {
    name: "who was declared dead says who it is",
    find: "    if (!this.alive(id)) return;\n",
    replace: "",
  },
  {
    name: "reaps the slot, and not the thread",
    find: "if (identity !== 0 && !isAlive(identity)) this.bury(id);",
    replace:
      "if (identity !== 0 && !isAlive(identity)) this.bury(Atomics.load(words, at + OWNER));",
  },
  {
    name: "a wake-up is lost when nobody sleeps yet",
    find: "if (Atomics.exchange(this.#words, at, AWAKE) === ASLEEP) this.#notify(at);",
    replace:
      "if (Atomics.compareExchange(this.#words, at, ASLEEP, AWAKE) === ASLEEP) this.#notify(at);",
  },
  {
    name: "wakes in two steps",
    find: "if (Atomics.exchange(this.#words, at, AWAKE) === ASLEEP) this.#notify(at);",
    replace:
      "if (Atomics.load(this.#words, at) === ASLEEP) this.#notify(at); Atomics.store(this.#words, at, AWAKE);",
  },
  {
    name: "goes to sleep over a wake-up",
    find: "return Atomics.compareExchange(this.#words, permitAt(id), 0, ASLEEP) === 0;",
    replace: "Atomics.store(this.#words, permitAt(id), ASLEEP); return true;",
  },
];

export const specs: readonly Spec[] = [{
  name: "SlotsCore",
  cases: [
    burial("a claim during a burial", 1, [3], { preemptions: 3 }),
    burial("claims during a burial", 1, [2, 1], { preemptions: 2 }),
    burial("two buriers", 2, [2], { preemptions: 2, fullPreemptions: 3 }),
    dying("death amid waits", [], { preemptions: 2 }),
    dying("death amid waits and claims", [2], { preemptions: 2 }),
    dyingBurier({ preemptions: 2 }),
    reaping("release and claim during a reap", 1, { preemptions: 3 }),
    reaping("two reapers", 2, { preemptions: 2, full: true }),
    succession("identity of the one before", "identity", { preemptions: 4 }),
    succession("a stop for the one before", "stop", { preemptions: 4 }),
    succession("a wake-up for the one before", "wake", { preemptions: 3 }),
    claiming("two claim", 2, { preemptions: 4 }),
    claiming("three claim", 3, { preemptions: 2 }),
    late,
    sleeping("sleeps until told", "said", { preemptions: 3 }),
    sleeping("sleeps until stopped", "stop", { preemptions: 4 }),
    sleeping("sleeps until another one is dead", "bury", { preemptions: 3 }),
    dyingWaker,
  ],
  mutants: mutants.map((mutant) => ({ file: FILE, ...mutant })),
}];
