/**
 * A mutex between processes.
 *
 * ```
 *   word 0      | OS thread id of the owner | bit 30 DIED | bit 31 WAITERS |
 *   word 1 … 3  | the C helper's |
 *   word 8      | magic |
 * ```
 *
 * Word 0 is in the format of the kernel's robust futexes (`native/include/numakit.h`): whichever way a process ends, the
 * kernel marks what its threads held and wakes a sleeper. It knows what they held by a list that has to name a word
 * before the word is taken, and JavaScript cannot write addresses: so it takes a foreign call to acquire and one to
 * release, and no compare-exchange here could replace them. Sleepers are in the kernel, too: the parking lot of one
 * process does not reach another.
 *
 * No wake-up is lost for longer than a slice. WAITERS is set by who is about to sleep, and the kernel lets nobody sleep
 * on a word that has changed; release clears it and wakes one, who sets it again for the others, whether it gets the lock
 * or gives up.
 *
 * @module
 */
import { Arena } from "../../memory/arena/arena.ts";
import { checkInteger } from "../../base/check.ts";
import { ERRNO } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../../base/handle.ts";
import { native } from "../../runtime/native.ts";
import { checkBlockOptions, giveUpError, wouldBlockError } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import { Turns } from "../../wait/turns.ts";
import { openError, sharedIdentity } from "../../shared/processes.ts";
import { destroyedError, goneError } from "../../shared/tenancy.ts";
import { Guard } from "./guard.ts";
import { notHeldError } from "./lock_errors.ts";
import { settle, type Tenant } from "../../memory/mapping/tenants.ts";
import { ACQUIRE_ACTION, acquireError, releaseError } from "./shared_mutex_errors.ts";
import { isMainThread, lockWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { Wait } from "../../wait/waiter.ts";

const KIND = "SharedMutex";
const MAGIC = 0x4e4b534d;
const WORD = 0;
const MAGIC_AT = 8;
/** Two cache lines, so that no other words share them. */
const BYTES = 128;

const OWNER = 2 ** 30 - 1;
const DIED = 1 << 30;
const WAITERS = 1 << 31;
/** The owner of a lock that was given back as a dead owner had left it. */
const POISON = OWNER;

/** How long a thread sleeps inside the helper, where a termination does not wake it: at most `NK_MAX_WAIT_MS`. */
const SLICE_MS = 20;
/** Waits that do not block look again after 1 ms, 2 ms and so on up to this. */
const MAX_DELAY_MS = 16;

/** This thread's live objects, by arena and offset. */
const live = /* @__PURE__ */ new WeakMap<Arena, Map<number, SharedMutex>>();

function wordsAt(arena: Arena, offset: number): Int32Array {
  const { buffer, byteOffset } = arena.view(offset, BYTES);
  return new Int32Array(buffer, byteOffset, BYTES / 4);
}

/**
 * A mutex between processes, in a named arena. It costs more than a {@linkcode Mutex}.
 *
 * One process creates it and tells the others its {@linkcode SharedMutex.offset}. If the owner dies, even by `SIGKILL`,
 * the next waiter gets the mutex at once, and its guard says so.
 *
 * All its processes have to be in one PID namespace. It also excludes threads of the same process; for a single
 * process, `Mutex` is faster, NUMA-aware and free of starvation. A thread can hold 31 of these mutexes.
 *
 * Properties: barging, not fair, robust, abortable; 2 foreign calls uncontended.
 *
 * @example
 * ```ts
 * import { Arena, SharedMutex } from "@numakit/numakit";
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB", name: "example.orders" });
 * const lock = SharedMutex.create(arena);
 *
 * // In another process, which was told the offset:
 * using same = Arena.open("example.orders");
 * const theirs = SharedMutex.open(same, lock.offset);
 * {
 *   using guard = theirs.acquire();
 *   if (guard.ownerDied) theirs.markConsistent(); // after repairing the data
 * }
 * ```
 */
export class SharedMutex implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    KIND,
    SharedMutex,
    (handle) => SharedMutex.fromHandle(handle),
  );
  /** Its offset in its arena, in bytes, for {@linkcode SharedMutex.open}. */
  readonly offset: number;
  readonly #arena: Arena;
  readonly #identity: number;
  readonly #words: Int32Array;
  /** The helper's number for it in this thread. */
  readonly #lock: number;
  readonly #guard: Guard;
  /** The acquisition of this thread that holds it. */
  #owner: Guard | undefined;
  /** This thread's waits that do not block. */
  readonly #turns = new Turns();
  /** This thread, once it has had to wait. */
  #me: ThreadWaiter | undefined;

  private constructor(arena: Arena, offset: number, identity: number, action: string) {
    const lock = native().calls.nk_robust_open(identity, offset);
    if (lock < 0) throw openError(lock, action);
    this.offset = offset;
    this.#arena = arena;
    this.#identity = identity;
    this.#words = wordsAt(arena, offset);
    this.#lock = lock;
    this.#guard = this.#newGuard();
    const known = live.get(arena) ?? new Map<number, SharedMutex>();
    live.set(arena, known.set(offset, this));
    settle(identity, `${KIND} ${offset}`, this.#tenant());
  }

  /**
   * Creates a mutex that no thread holds.
   *
   * @param arena A named arena, from which the mutex takes {@linkcode SharedMutex.bytes} bytes.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` an arena without a name; `EBUSY` one that another thread allocates from; `ENOMEM` a full
   * one; `EDESTROYED`; `ENOSYS`, `EPERM` a kernel or sandbox without robust futexes.
   */
  static create(arena: Arena): SharedMutex {
    const action = "create a shared mutex";
    const identity = sharedIdentity(arena, action, "use a Mutex");
    const offset = arena.allocAligned(BYTES, BYTES);
    const words = wordsAt(arena, offset);
    words.fill(0);
    const mutex = new SharedMutex(arena, offset, identity, action);
    // The helper may think that this thread holds one that was here before the arena was reset.
    native().calls.nk_robust_release(mutex.#lock);
    Atomics.store(words, MAGIC_AT, MAGIC);
    return mutex;
  }

  /**
   * Opens a mutex that another process created. In one thread, the same mutex is always the same object.
   *
   * @param arena The arena, from `Arena.open`.
   * @param offset Its {@linkcode SharedMutex.offset} in the process that created it.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` when there is none, or an arena without a name; `ENOTSUP` another PID namespace;
   * `EDESTROYED`; `ENOSYS`, `EPERM` a kernel or sandbox without robust futexes; `EAGAIN` more than 32,768.
   */
  static open(arena: Arena, offset: number): SharedMutex {
    const action = "open a shared mutex";
    const identity = sharedIdentity(arena, action, "use a Mutex");
    checkInteger(offset, "offset", 0, arena.capacity - BYTES, action);
    if (offset % BYTES !== 0 || Atomics.load(wordsAt(arena, offset), MAGIC_AT) !== MAGIC) {
      throw new NumaError("EINVAL", action, {
        why: `there is none at ${offset}`,
        fix: "Give the offset of one that SharedMutex.create made in this arena.",
      });
    }
    return live.get(arena)?.get(offset) ?? new SharedMutex(arena, offset, identity, action);
  }

  /**
   * Returns how much memory a mutex needs.
   *
   * @returns The size in bytes.
   */
  static bytes(): number {
    return BYTES;
  }

  /**
   * Acquires the mutex, and sleeps while another thread of any process holds it.
   *
   * Cost when uncontended: one foreign call to acquire and one to release; no system call, no allocation.
   *
   * @param options The timeout, and whether the main thread may block.
   * @returns The guard, for `using`; it says whether the previous owner died.
   * @throws {NumaError} `EDEADLK` this thread holds it; `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main
   * thread; `EOWNERDEAD` the mutex is poisoned; `ETERMINATED` this thread is being terminated; `EAGAIN` this thread
   * holds 31; `EDESTROYED`; `EINVAL`.
   */
  acquire(options?: BlockOptions): Guard {
    if (options !== undefined) options = checkBlockOptions(options, ACQUIRE_ACTION);
    if (!this.#take(0)) this.#wait(options);
    this.#owner = this.#guard;
    return this.#guard;
  }

  /**
   * Acquires the mutex if it is free now.
   *
   * @returns The guard; undefined if it is not free.
   * @throws {NumaError} `EDEADLK` this thread holds it; `EOWNERDEAD` the mutex is poisoned; `EAGAIN`; `EDESTROYED`.
   */
  tryAcquire(): Guard | undefined {
    if (!this.#take(0)) return undefined;
    this.#owner = this.#guard;
    return this.#guard;
  }

  /**
   * Acquires the mutex without blocking the thread. Several such calls of a thread exclude each other, and are served
   * in their order.
   *
   * Such a wait is not woken when another thread releases the mutex: the first of them checks after 1, 2, 4 and 8 ms,
   * and then every 16 ms. If blocking threads keep the mutex busy, it may take long.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the guard of this acquisition, which is the only way to release it.
   * @throws {NumaError} `ETIMEDOUT`; `EOWNERDEAD` the mutex is poisoned; `EAGAIN`; `EDESTROYED`; `EINVAL`. The signal's
   * reason if it aborts.
   */
  async acquireAsync(options?: AsyncWaitOptions): Promise<Guard> {
    const guard = this.#newGuard();
    const request: AsyncRequest<boolean> = {
      action: ACQUIRE_ACTION,
      begin: () => this.#takeAsync(guard) || undefined,
      wait: () => this.#poll(guard),
      failed: (result) => !result,
    };
    const entered = this.#turns.enter(this, request, options);
    if (entered instanceof Promise) await entered;
    return guard;
  }

  /**
   * Releases the mutex.
   *
   * @throws {NumaError} `EOWNER` this thread does not hold it, or holds it by `acquireAsync`, or the mutex was overwritten;
   * `EDESTROYED` its arena is destroyed, and the mutex has passed to the next owner as after a death.
   */
  release(): void {
    if (this.#owner === this.#guard) return this.#giveBack();
    throw notHeldError("release a shared mutex");
  }

  /** Whether this thread holds it. Acquisitions by `acquireAsync` do not count. */
  get held(): boolean {
    return this.#owner === this.#guard && !this.#arena.destroyed;
  }

  /**
   * Declares the data consistent after the mutex's owner died. Otherwise the next release poisons the mutex: acquiring
   * it is then an error in all processes, until a thread has repaired the data and calls this.
   *
   * @returns False if no owner had died.
   * @throws {NumaError} `EOWNER` this thread does not hold it; `EDESTROYED`.
   */
  markConsistent(): boolean {
    const action = "mark a shared mutex as consistent";
    if (this.#arena.destroyed) throw destroyedError(action);
    const words = this.#words;
    for (;;) {
      const word = Atomics.load(words, WORD);
      if ((word & DIED) === 0) return false;
      const isPoisoned = (word & OWNER) === POISON;
      if (!isPoisoned && this.#owner === undefined) {
        throw new NumaError("EOWNER", action, {
          why: "this thread does not hold it",
          fix: "Acquire it, and call this if guard.ownerDied.",
        });
      }
      const next = isPoisoned ? 0 : word & ~DIED;
      if (Atomics.compareExchange(words, WORD, word, next) === word) return true;
    }
  }

  /**
   * Returns a handle with which another thread of this process finds the mutex. Arguments and results of threads are
   * converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    return {
      numakitHandle: SharedMutex.#kind,
      data: { arena: this.#arena.toHandle(), offset: this.offset },
    };
  }

  /**
   * Returns the live mutex of a handle.
   *
   * @param handle A handle from {@linkcode SharedMutex.toHandle}, made in any thread of this process.
   * @returns The mutex, which is one object in each thread.
   * @throws {NumaError} `EINVAL` if it is not such a handle; `ESTALE` if its arena no longer exists.
   */
  static fromHandle(handle: Handle): SharedMutex {
    const { arena, offset } = handleData(handle, KIND, "attach a shared mutex");
    return SharedMutex.open(Arena.fromHandle(arena as Handle), offset as number);
  }

  /** Whether it was free; waited: whether others may sleep, too. */
  #take(waited: 0 | 1): boolean {
    const result = native().calls.nk_robust_acquire(this.#lock, waited);
    if (result < 0) throw acquireError(result);
    return result > 0;
  }

  #takeAsync(guard: Guard): boolean {
    // The thread may hold it: that ends, so it is worth waiting.
    const result = native().calls.nk_robust_acquire(this.#lock, 0);
    if (result < 0 && result !== -ERRNO.EDEADLK) throw acquireError(result);
    if (result > 0) this.#owner = guard;
    return result > 0;
  }

  *#poll(guard: Guard): Wait<boolean> {
    let delayMs = 1;
    let isOver = false;
    while (!isOver) {
      isOver = yield delayMs;
      if (this.#takeAsync(guard)) return true;
      delayMs = Math.min(delayMs * 2, MAX_DELAY_MS);
    }
    return false;
  }

  #wait(options: BlockOptions | undefined): void {
    const me = this.#me ??= lockWaiter();
    const words = this.#words;
    for (let round = 0; me.spin(round); round++) {
      if ((Atomics.load(words, WORD) & OWNER) === 0 && this.#take(0)) return;
    }
    const deadline = performance.now() + (options?.timeoutMs ?? Infinity);
    const mayBlock = options?.block ?? !isMainThread();
    let waited: 0 | 1 = 0;
    while (!this.#take(waited)) {
      const word = Atomics.load(words, WORD);
      if (!mayBlock) throw wouldBlockError(ACQUIRE_ACTION);
      if ((word & OWNER) === 0 || (word & OWNER) === POISON) continue;
      const expected = word | WAITERS;
      if (Atomics.compareExchange(words, WORD, word, expected) !== word) continue;
      // Not before WAITERS is set: others may sleep, whose wake-up this wait has had.
      const leftMs = deadline - performance.now();
      if (me.lot.stopped(me.id)) throw giveUpError(ACQUIRE_ACTION, true, 0);
      if (leftMs <= 0) throw giveUpError(ACQUIRE_ACTION, false, options?.timeoutMs ?? 0);
      const sliceMs = Math.min(Math.ceil(leftMs), SLICE_MS);
      native().calls.nk_futex_wait(this.#identity, this.offset, expected, sliceMs);
      waited = 1;
    }
  }

  /** The helper marks it as a dead owner's when this thread lets go of the memory. */
  #tenant(): Tenant {
    return {
      holds: () => this.#owner !== undefined,
      endWaits: () => this.#turns.end(goneError),
      abandon: () => this.#turns.drop(),
    };
  }

  #newGuard(): Guard {
    const isHeld = (): boolean => this.#owner === guard;
    const ownerDied = (): boolean =>
      !this.#arena.destroyed && (Atomics.load(this.#words, WORD) & DIED) !== 0;
    const guard = new Guard(isHeld, () => this.#giveBack(), ownerDied);
    return guard;
  }

  #giveBack(): void {
    if (this.#owner !== this.#guard) this.#turns.leave();
    this.#owner = undefined;
    const result = native().calls.nk_robust_release(this.#lock);
    if (result < 0) throw releaseError(result);
  }
}
