/**
 * The harness that a reader-writer lock joins: as `lock_spec.ts`, with two sides.
 *
 * Checked in every run: nobody is inside together with a living writer; nobody is left asleep; all threads end; who
 * does not hold a side cannot release it; a writer that follows one who died inside is told so, and no reader gets in
 * before a writer has said that all is right again; nobody gets in after an heir that said nothing, until somebody says
 * so, and then everybody can.
 *
 * @module
 */

import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "./spec.ts";

/** Both sides of a lock, as one thread has them. */
export interface RwHandle {
  readonly read: LockCore;
  readonly write: Required<Omit<LockCore, "shares">>;
}

/** One way to explore a lock. */
export interface RwCase extends Omit<Case, "words" | "setup" | "threads"> {
  /**
   * What each thread does, one letter after the other: r reads, w writes, R and W do so if it is possible at once; k
   * writes and says that all is right again when it finds that a writer died, where w gives the lock back as it was.
   */
  readonly roles: readonly string[];
  /** Whether the first thread, which does nothing, has ended as a writer that was inside. */
  readonly abandoned?: boolean;
}

/** A lock and how to explore it. */
export interface RwSpecOptions {
  readonly name: string;
  readonly source: string;
  /** A handle of one thread. */
  make(words: Int32Array, shape: Shape): RwHandle;
  /** How many words it needs. */
  words(shape: Shape): number;
  /** Names a word in traces. */
  describe?(word: number): string;
  readonly cases: readonly RwCase[];
  /** Cases that are made otherwise. */
  readonly more?: readonly Case[];
  readonly mutants: readonly Omit<Mutant, "file">[];
}

/** Who is inside, as nobody but the checks knows. */
class Room {
  readonly #world: World;
  readonly #readers: Set<number> = new Set();
  #writer = -1;
  /** A writer died inside, and nobody has repaired what it left. */
  #torn = false;
  /** An heir gave the lock back as it was. */
  poisoned = false;

  constructor(world: World) {
    this.#world = world;
  }

  /** A writer died inside before anybody came. */
  tear(): void {
    this.#torn = true;
  }

  /** Looks who has died since. */
  settle(): void {
    if (this.#writer < 0 || !this.#world.killed(this.#writer)) return;
    this.#writer = -1;
    this.#torn = true;
  }

  enter(thread: number, writes: boolean, told: boolean): void {
    const world = this.#world;
    this.settle();
    world.note(thread * 2 + Number(writes));
    world.check(this.#writer < 0, `writer ${this.#writer} is inside, too`);
    world.check(!this.poisoned, "nobody gets a poisoned lock");
    world.check(writes || !this.#torn, "reads what a dead writer left");
    if (!writes) {
      this.#readers.add(thread);
      return;
    }
    for (const reader of this.#readers) {
      world.check(world.killed(reader), `reader ${reader} is inside, too`);
    }
    world.check(told || !this.#torn, "is not told that a writer died");
    this.#writer = thread;
  }

  leave(thread: number, writes: boolean): void {
    this.#world.note(~(thread * 2 + Number(writes)));
    if (writes) this.#writer = -1;
    else this.#readers.delete(thread);
  }

  repair(): void {
    this.#world.note(-99);
    this.#torn = false;
  }
}

class User {
  readonly #world: World;
  readonly #lock: RwHandle;
  readonly #me: Waiter;
  readonly #thread: number;
  readonly #room: Room;
  /** Whether a wait may come to nothing. */
  readonly #mayFail: boolean;
  readonly #mayDie: boolean;

  constructor(
    world: World,
    lock: RwHandle,
    thread: number,
    room: Room,
    { kills = 0, timeouts = 0, abandoned = false }: RwCase,
  ) {
    this.#world = world;
    this.#lock = lock;
    this.#me = world.waiter(thread);
    this.#thread = thread;
    this.#room = room;
    this.#mayDie = kills > 0 || abandoned;
    this.#mayFail = this.#mayDie || timeouts > 0;
  }

  *act(role: string): Wait<void> {
    const world = this.#world;
    const writes = role.toLowerCase() !== "r";
    const side: LockCore = writes ? this.#lock.write : this.#lock.read;
    world.operation(role);
    let got: boolean;
    if (role === "R" || role === "W") got = side.tryAcquire(this.#me);
    else {
      got = side.begin(this.#me) || (yield* side.wait(this.#me));
      world.check(got || this.#mayFail, "gave up, but nobody said so");
    }
    if (got) this.#room.enter(this.#thread, writes, this.#lock.write.ownerDied());
    world.done();
    world.check(side.holds(this.#me) === got, "holds() says something else");
    if (!got) {
      world.check(!side.release(this.#me), "released what it did not hold");
      return;
    }
    world.pause();
    if (role === "k" && this.#lock.write.ownerDied()) {
      world.check(this.#lock.write.markConsistent(this.#me), "the heir may repair");
      this.#room.repair();
    }
    if (writes && this.#mayDie) this.#room.poisoned = this.#lock.write.ownerDied();
    this.#room.leave(this.#thread, writes);
    world.operation("release");
    world.check(side.release(this.#me), "the owner can release");
    world.done();
  }
}

function rwCase(options: RwSpecOptions, subject: RwCase): Case {
  const { roles, slots = [roles.length - 1], abandoned = false } = subject;
  const shape: Shape = { threads: 1 + Math.max(...slots), domains: 2 };
  return {
    ...subject,
    ...(abandoned && { gone: true }),
    threads: roles.length,
    words: Math.ceil(options.words(shape) / LINE_WORDS) * LINE_WORDS,
    describe: (word) => options.describe?.(word) ?? `words[${word}]`,
    setup(world: World): Program {
      const room = new Room(world);
      if (abandoned) {
        options.make(world.words, shape).write.tryAcquire(world.waiter(0));
        room.tear();
      }
      const thread = (index: number): Thread => {
        const lock = options.make(world.words, shape);
        const user = new User(world, lock, index, room, subject);
        return function* (): Wait<void> {
          for (const role of roles[index] as string) yield* user.act(role);
        };
      };
      return {
        threads: roles.map((_, index) => thread(index)),
        end(): void {
          const { read, write } = options.make(world.words, shape);
          let dead = abandoned;
          for (let index = 0; index < roles.length; index++) dead ||= world.killed(index);
          for (let index = Number(abandoned); index < roles.length; index++) {
            if (world.killed(index)) continue;
            const me = world.waiter(index);
            world.check(!read.release(me) && !write.release(me), "nobody holds it in the end");
            const readable = dead || (read.tryAcquire(me) && read.release(me));
            world.check(readable, "it can be read in the end");
            if (write.broken()) {
              world.check(!write.tryAcquire(me), "nobody gets a poisoned lock");
              world.check(write.markConsistent(me), "anybody may repair what nobody has");
            }
            world.check(write.tryAcquire(me), "it is free in the end");
            const told = write.ownerDied();
            world.check(!told || write.markConsistent(me), "the heir may repair");
            world.check(write.release(me), "the owner can release");
            world.check(read.tryAcquire(me) && read.release(me), "it can be read after that");
          }
        },
      };
    },
  };
}

/**
 * Makes a spec of a reader-writer lock.
 *
 * @param options The lock.
 * @returns The spec.
 */
export function rwSpec(options: RwSpecOptions): Spec {
  return {
    name: options.name,
    mutants: options.mutants.map((mutant) => ({ file: options.source, ...mutant })),
    cases: [...options.cases.map((subject) => rwCase(options, subject)), ...options.more ?? []],
  };
}
