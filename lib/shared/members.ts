/**
 * The threads of several processes that use one region: which ids they have there, and who is alive.
 *
 * ```
 *   slot s      | robust lock: 4 words |       held by the thread that has the slot, until it lets go of the arena or ends
 *   then        generations, a word for each slot: how often it was taken
 * ```
 *
 * Slots and ids of a parking lot are those of one process: two processes give the same id to two threads, and neither can
 * tell whether a thread of the other lives. So a region that processes share has slots of its own. The kernel marks a
 * thread's lock when the thread ends, by whatever way, so that any process sees it with one load.
 *
 * An id is generation << 12 | slot. It is alive while its slot is held and has its generation. The new holder of a slot
 * counts the generation up before it uses its id; until then the id of the dead one before counts as alive again, and who
 * waits for it looks again a little later.
 *
 * Nobody is woken through these ids. They are for algorithms whose waits nap.
 *
 * @module
 */
import { ERRNO, errnoError } from "../base/errno.ts";
import { NumaError } from "../base/error.ts";
import { native } from "../runtime/native.ts";
import type { ThreadWaiter } from "../wait/thread_waiter.ts";
import { ID_MASK, LINE_WORDS, type Waiter } from "../wait/waiter.ts";
import { remembered } from "./live_objects.ts";
import { openError } from "./processes.ts";
import type { Region } from "./region.ts";

/** `NK_ROBUST_BYTES`, in words. */
const LOCK_WORDS = 4;
const OWNER = 0x3fffffff;
const DIED = 1 << 30;
const SLOT_BITS = 12;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const LAST_GENERATION = ID_MASK >>> SLOT_BITS;

/** Where the members of a region are. */
export interface MembersPlace {
  /** Their words. */
  readonly words: Int32Array;
  /** Where these begin in the arena, in bytes: at a multiple of 16. */
  readonly offset: number;
}

/**
 * The words that the members of a region take.
 *
 * @param threads How many there may be at the same time.
 * @returns 32-bit words: whole lines.
 */
export function memberWords(threads: number): number {
  return Math.ceil(threads * (LOCK_WORDS + 1) / LINE_WORDS) * LINE_WORDS;
}

/** The calling thread, as the threads of other processes know it in one region. */
export class Member implements Waiter {
  readonly id: number;
  readonly slot: number;
  readonly domain: number;
  readonly #words: Int32Array;
  readonly #threads: number;
  readonly #me: ThreadWaiter;

  /**
   * Not for callers: use {@linkcode memberOf}.
   *
   * @param me The thread, as its own process knows it.
   * @param words The members' words.
   * @param threads How many there may be.
   * @param slot The slot, which this thread holds.
   */
  constructor(me: ThreadWaiter, words: Int32Array, threads: number, slot: number) {
    const at = threads * LOCK_WORDS + slot;
    const before = Atomics.load(words, at);
    const generation = before >= 1 && before < LAST_GENERATION ? before + 1 : 1;
    Atomics.store(words, at, generation);
    this.id = generation << SLOT_BITS | slot;
    this.slot = slot;
    this.domain = me.domain;
    this.#words = words;
    this.#threads = threads;
    this.#me = me;
  }

  spin(round: number): boolean {
    return this.#me.spin(round);
  }

  /** Does nothing: who waits for a thread of another process naps. */
  unpark(): void {}

  alive(id: number): boolean {
    const slot = id & SLOT_MASK;
    // In memory that any thread can write to.
    if (slot >= this.#threads) return false;
    const words = this.#words;
    const owner = Atomics.load(words, slot * LOCK_WORDS) & OWNER;
    if (owner === 0 || owner === OWNER) return false;
    return Atomics.load(words, this.#threads * LOCK_WORDS + slot) === id >>> SLOT_BITS;
  }

  now(): number {
    return this.#me.now();
  }
}

/**
 * The calling thread, as a member of a region that processes share.
 *
 * @param region The region.
 * @param me The thread, as its own process knows it.
 * @returns It, also in other objects of this region. It is a member until it ends, or destroys the arena.
 * @throws {NumaError} `EAGAIN` if there are as many already as it was created for, or this thread holds too many locks;
 * `ENOTSUP` another PID namespace; `ENOSYS`, `EPERM` a kernel or sandbox without robust futexes.
 */
export function memberOf(region: Region, me: ThreadWaiter): Member {
  const make = (): { member: Member; isUsed(): boolean } => {
    const member = join(region, me);
    return { member, isUsed: () => true };
  };
  return remembered(region, make).member;
}

function join({ members, mapping, shape, title }: Region, me: ThreadWaiter): Member {
  const action = `use ${title}`;
  const { threads } = shape;
  const { words, offset } = members as MembersPlace;
  for (let slot = 0; slot < threads; slot++) {
    const at = slot * LOCK_WORDS;
    if ((Atomics.load(words, at) & OWNER) !== 0) continue;
    if (!take(mapping as number, offset + at * 4, action)) continue;
    // The one before has died. What it has left is for the algorithm to put right, not for who comes next.
    Atomics.and(words, at, ~DIED);
    return new Member(me, words, threads, slot);
  }
  throw new NumaError("EAGAIN", action, {
    why:
      `it was created for at most ${threads} threads of all processes at a time, and more use it`,
    fix: "Create it with a larger `threads`.",
  });
}

/** Whether a slot's lock was free. */
function take(mapping: number, offset: number, action: string): boolean {
  const { nk_robust_open, nk_robust_acquire, nk_robust_release } = native().calls;
  const lock = nk_robust_open(mapping, offset);
  if (lock < 0) throw openError(lock, action);
  let result = nk_robust_acquire(lock, 0);
  if (result === -ERRNO.EDEADLK) {
    // The helper thinks of what was there before the arena was reset.
    nk_robust_release(lock);
    result = nk_robust_acquire(lock, 0);
  }
  if (result === -ERRNO.ENOLCK) {
    throw new NumaError("EAGAIN", action, {
      why: "this thread has 31 locks and structures that processes share",
      fix: "Destroy arenas of such structures, or use them in several threads.",
    });
  }
  if (result < 0 && result !== -ERRNO.ENOTRECOVERABLE) {
    throw errnoError(result, "nk_robust_acquire", action);
  }
  return result > 0;
}
