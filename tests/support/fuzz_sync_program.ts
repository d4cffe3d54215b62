/**
 * Random programs of calls that are mostly right, by several threads on the same objects: what they must never do is to
 * hang, to fail with anything but a NumaError, and to let two into a lock.
 */
import { Condition, type Guard, type Handle, Lock, NumaError } from "../../mod.ts";
import type { Shareable } from "../../lib/base/handle.ts";
import { random } from "./fuzz.ts";
import type { SyncKind } from "./fuzz_row.ts";
import { SYNC_KINDS } from "./fuzz_sync_kinds.ts";
import {
  GUARDED,
  type Guarded,
  PERMITS,
  type Pool,
  RECORD,
  TALLY,
  tallyAt,
} from "./fuzz_sync_pool.ts";
import { OURS } from "./fuzz_sync_values.ts";

/** Which program, and how it is to end. */
export interface Run {
  readonly seed: number;
  /** Names its thread: 1 to 100. */
  readonly thread: number;
  readonly calls: number;
  /** Whether the thread ends with it, and dies holding what it holds. */
  readonly abandons: boolean;
  /** Whether somebody terminates it. */
  readonly dies?: boolean;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Says in a lock's words that who wrote it may die inside. */
const MORTAL = 1 << 29;

type Loose = Readonly<Record<string | symbol, (...args: readonly unknown[]) => unknown>>;

class Program {
  readonly #pool: Pool;
  readonly #run: Run;
  readonly #next: () => number;
  readonly #tally: number;
  readonly #locks: readonly (readonly [string, Guarded])[];
  /** Locks that this thread holds, with what it wrote into them. */
  readonly #held: Map<Guarded, { readonly token: number; readonly guard: Guard }> = new Map();
  readonly #pending: Set<Promise<void>> = new Set();
  #failed: unknown;
  #permits = 0;
  #limited = 0;
  /** How deep in the epoch, and what may not be safe meanwhile. */
  #inside = 0;
  #retired: number | undefined;
  #tokens = 0;
  #told = "";

  constructor(pool: Pool, run: Run) {
    this.#pool = pool;
    this.#run = run;
    this.#next = random(run.seed);
    this.#tally = tallyAt(pool);
    this.#locks = Object.entries(pool.locks);
    handlesOf(pool);
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#next() * items.length)] as Item;
  }

  #below(end: number): number {
    return Math.floor(this.#next() * end);
  }

  #timeout(): { readonly timeoutMs: number } {
    return { timeoutMs: this.#pick([0, 0, 1, 2, 4]) };
  }

  #count(word: keyof typeof TALLY, by = 1): void {
    Atomics.add(this.#pool.words, this.#tally + TALLY[word], by);
  }

  #violated(what: string): void {
    // A thread that is terminated at its event loop loses its memory before it ends, and with it a SharedMutex.
    if (this.#run.dies === true && this.#pool.arena.destroyed) {
      throw new NumaError("ETERMINATED", "go on", { why: "this thread is to end" });
    }
    this.#count("violations");
    throw new Error(`${this.#told}: ${what}`);
  }

  #judge(error: unknown): void {
    if (error === OURS) return;
    if (error instanceof NumaError && /^Cannot .+: .+\./s.test(error.message)) return;
    throw error instanceof Error && error.message.startsWith(this.#told)
      ? error
      : new Error(`${this.#told} threw ${error}`, { cause: error });
  }

  /** Runs what may only fail with a NumaError. */
  #attempt<Result>(told: string, call: () => Result): Result | undefined {
    this.#told = told;
    try {
      return call();
    } catch (error) {
      this.#judge(error);
      return undefined;
    }
  }

  /** Goes on with the program while something is waited for. */
  #later(told: string, wait: Promise<unknown>): void {
    const done = wait.then(() => {}, (error) => {
      this.#told = told;
      this.#judge(error);
    }).catch((error) => {
      this.#failed ??= error;
    }).finally(() => this.#pending.delete(done));
    this.#pending.add(done);
  }

  /**
   * Looks around in a lock that it has just got; gives what `#leave` has to find there.
   *
   * What the dead wrote there stays until somebody writes over it: who says that it is right again need not be an heir.
   */
  #enter({ lock, at, reads, robust }: Guarded, guard: Guard, byThread: boolean): number {
    const { words } = this.#pool;
    const inside = at + GUARDED.inside;
    const { thread, abandons, dies } = this.#run;
    const mortal = abandons || dies === true ? MORTAL : 0;
    const token = mortal | thread << 20 | ++this.#tokens;
    const before = reads ? Atomics.load(words, inside) : Atomics.exchange(words, inside, token);
    if (before !== 0 && (before & MORTAL) === 0) {
      this.#violated(`${before} is inside with ${token}`);
    }
    if (reads) return before;
    if (guard.ownerDied) {
      if (!robust) this.#violated("a dead owner of a lock that does not tell");
      if (byThread && this.#next() < 0.7) lock.markConsistent();
    }
    return token;
  }

  /** Does something that only one may do at a time, and is gone. */
  #leave({ at, reads }: Guarded, token: number): void {
    const { words } = this.#pool;
    if (!reads) {
      const done = words[at + GUARDED.done] as number;
      for (let pause = this.#below(100); pause > 0; pause--) Atomics.load(words, at);
      words[at + GUARDED.done] = done + 1;
      Atomics.add(words, at + GUARDED.meant, 1);
    }
    const inside = at + GUARDED.inside;
    const found = reads ? Atomics.load(words, inside) : Atomics.exchange(words, inside, 0);
    if (found !== token) this.#violated(`${found} has come in with ${token}`);
  }

  /** Counts who is about to read: for locks that dead readers keep closed. */
  #reading({ at, reads }: Guarded, by: 1 | -1): void {
    if (reads) Atomics.add(this.#pool.words, at + GUARDED.inRead, by);
  }

  #acquire(name: string, row: Guarded): void {
    if (this.#held.has(row)) {
      const again = this.#attempt(
        `${name}.acquire() twice`,
        () => row.lock.acquire({ timeoutMs: 1 }),
      );
      if (again !== undefined) this.#violated("it went");
      return;
    }
    this.#reading(row, 1);
    const guard = this.#next() < 0.3
      ? this.#attempt(`${name}.tryAcquire()`, () => row.lock.tryAcquire())
      : this.#attempt(`${name}.acquire()`, () => row.lock.acquire(this.#timeout()));
    if (guard === undefined) this.#reading(row, -1);
    else this.#held.set(row, { token: this.#enter(row, guard, true), guard });
  }

  #release(name: string, row: Guarded): void {
    const held = this.#held.get(row);
    if (held === undefined) {
      const went = this.#attempt(
        `${name}.release() by a stranger`,
        () => (row.lock.release(), true),
      );
      if (went === true) this.#violated("it went");
      return;
    }
    this.#told = `${name}.release()`;
    this.#leave(row, held.token);
    this.#held.delete(row);
    if (this.#next() < 0.5) held.guard.release();
    else row.lock.release();
    this.#reading(row, -1);
  }

  async #hold(row: Guarded, options: object, ms: number): Promise<void> {
    this.#reading(row, 1);
    try {
      const guard = await row.lock.acquireAsync(options);
      const token = this.#enter(row, guard, false);
      if (ms > 0) await sleep(ms);
      this.#leave(row, token);
      guard.release();
      guard.release();
    } finally {
      this.#reading(row, -1);
    }
  }

  #acquireAsync(name: string, row: Guarded): void {
    const aborter = new AbortController();
    const late = this.#next();
    if (late < 0.1) aborter.abort(OURS);
    else if (late < 0.3) setTimeout(() => aborter.abort(OURS), this.#below(3));
    const options = { ...this.#timeout(), signal: aborter.signal };
    this.#later(`${name}.acquireAsync()`, this.#hold(row, options, this.#pick([0, 0, 0, 1])));
  }

  #wait(): void {
    const [entry, ...others] = this.#held;
    // It takes the lock again however long that takes, so nobody may wait for what this thread has.
    if (entry === undefined || others.length > 0 || this.#pending.size > 0) return;
    const [row, { token, guard }] = entry;
    this.#told = "Condition.wait()";
    const { condition } = this.#pool;
    if (row.reads || !(row.lock instanceof Lock)) {
      this.#attempt(
        "Condition.wait() for another one",
        () => condition.wait(row.lock as Lock, { timeoutMs: 0 }),
      );
      if (row.lock.held) return;
      this.#held.delete(row);
      this.#reading(row, -1);
      return;
    }
    const { lock } = row;
    this.#leave(row, token);
    this.#held.delete(row);
    this.#attempt("Condition.wait()", () => condition.wait(lock, this.#timeout()));
    if (!lock.held) return;
    this.#told = "Condition.wait(), and has the lock again";
    this.#held.set(row, { token: this.#enter(row, guard, true), guard });
  }

  async #waitAsync({ lock }: { readonly lock: Lock }, row: Guarded): Promise<void> {
    const first = await lock.acquireAsync(this.#timeout());
    this.#leave(row, this.#enter(row, first, false));
    const guard = await this.#pool.condition.waitAsync(lock, first, this.#timeout());
    this.#leave(row, this.#enter(row, guard, false));
    guard.release();
  }

  #lockCall(): void {
    // Few, so that threads meet.
    const [name, row] = this.#next() < 0.5
      ? this.#locks[this.#run.seed % this.#locks.length] as readonly [string, Guarded]
      : this.#pick(this.#locks);
    const kind = this.#next();
    const latest = [...this.#held.keys()].at(-1);
    if (kind < 0.3) this.#acquire(name, row);
    else if (kind < 0.5 && latest !== undefined) this.#release("the latest lock", latest);
    else if (kind < 0.65) this.#release(name, row);
    else if (kind < 0.75) this.#acquireAsync(name, row);
    else if (kind < 0.82) this.#wait();
    else if (kind < 0.85 && row.lock instanceof Lock && !row.reads) {
      this.#later("Condition.waitAsync()", this.#waitAsync({ lock: row.lock }, row));
    } else if (kind < 0.9 && !this.#held.has(row)) {
      this.#attempt(`${name}.markConsistent()`, () => row.lock.markConsistent());
    } else if (kind < 0.95) {
      this.#told = `${name}.held`;
      if (row.lock.held !== this.#held.has(row)) this.#violated(`it says ${row.lock.held}`);
    } else this.#attempt(`${name}.toHandle()`, () => row.lock.toHandle());
  }

  #counterCall(): void {
    const { counter, histogram, limited, record } = this.#pool;
    const by = 1 + this.#below(9);
    this.#pick([
      () => {
        counter.add(by);
        this.#count("added", by);
      },
      () => {
        histogram.record(by);
        this.#count("recorded");
      },
      () => {
        if (limited.tryAdd(by)) this.#limited += by;
      },
      () => {
        if (this.#limited === 0) return;
        limited.subtract(this.#limited);
        this.#limited = 0;
      },
      () =>
        record.write(
          Array.from({ length: RECORD }, (_, word) => by * 1000 + word),
          this.#timeout(),
        ),
      () => {
        const out = new Int32Array(RECORD);
        if (this.#next() < 0.5) record.read(out);
        else if (!record.tryRead(out)) return;
        const torn = out[0] !== 0 && out.some((value, word) => value !== (out[0] as number) + word);
        if (torn) this.#violated(`the record is ${out}`);
      },
      () => {
        if (limited.value() > 1000 || histogram.snapshot().count < 0) this.#violated("too much");
      },
    ])();
  }

  #semaphoreCall(): void {
    const { permits } = this.#pool;
    const n = 1 + this.#below(3);
    this.#pick([
      () => {
        permits.acquire(n, this.#timeout());
        this.#permits += n;
      },
      () => {
        if (permits.tryAcquire(n)) this.#permits += n;
      },
      () => {
        const wait = permits.acquireAsync(n, this.#timeout()).then(() => permits.release(n));
        this.#later("Semaphore.acquireAsync()", wait);
      },
      () => {
        if (this.#permits === 0) return;
        permits.release(this.#permits);
        this.#permits = 0;
      },
      () => {
        if (permits.available > PERMITS) this.#violated(`${permits.available} permits`);
      },
    ])();
  }

  #meetingCall(): void {
    const { barrier, latch, once, condition } = this.#pool;
    const short = this.#timeout();
    const fails = this.#next() < 0.3;
    const step = (): void => {
      if (fails) throw OURS;
      this.#count("ran");
    };
    this.#pick<() => unknown>([
      () => barrier.wait(short),
      () => this.#later("Barrier.waitAsync()", barrier.waitAsync(short)),
      () => barrier.join(),
      () => barrier.leave(),
      () => barrier.reset(short),
      () => barrier.broken,
      () => latch.countDown(),
      () => latch.wait(short),
      () => this.#later("Latch.waitAsync()", latch.waitAsync(short)),
      () => once.run(step, short),
      () => this.#later("Once.runAsync()", once.runAsync(() => sleep(1).then(step), short)),
      () => this.#next() < 0.5 ? condition.signal() : condition.broadcast(),
    ])();
  }

  #eventCall(): void {
    const { events, words } = this.#pool;
    const at = this.#tally + TALLY.items;
    const take = (): boolean => {
      const items = Atomics.load(words, at);
      if (items === 0 || Atomics.compareExchange(words, at, items, items - 1) !== items) {
        return false;
      }
      this.#count("taken");
      return true;
    };
    this.#pick([
      () => {
        this.#count("items");
        this.#count("made");
        if (this.#next() < 0.7) events.notify();
        else events.notifyAll();
      },
      () => events.waitUntil(take, this.#timeout()),
      () =>
        this.#later("EventCount.waitUntilAsync()", events.waitUntilAsync(take, this.#timeout())),
    ])();
  }

  #epochCall(): void {
    const { epoch } = this.#pool;
    this.#pick([
      () => {
        epoch.enter();
        if (this.#inside++ === 0) this.#retired = epoch.current;
      },
      () => {
        if (this.#inside === 1) this.#retired = undefined;
        epoch.exit();
        this.#inside--;
      },
      () => {
        epoch.quiescent();
        if (this.#inside === 1) this.#retired = epoch.current;
      },
      () => void epoch.advance(),
      () => {
        if (this.#retired === undefined || !epoch.safe(this.#retired)) return;
        this.#violated(`${this.#retired} is safe while somebody looks at it`);
      },
    ])();
  }

  /** Something that is right for one of those whose arena may be gone. */
  #doomedCall(): void {
    const { arena, objects } = this.#pool.doomed;
    if (this.#next() < 0.02) return arena.destroy();
    const [name, object] = this.#pick(Object.entries(objects));
    const kind = SYNC_KINDS[name] as SyncKind;
    if (this.#next() < 0.1 && "fromHandle" in kind.statics) {
      this.#told = `${name}.fromHandle() of one that is doomed`;
      const handle = handlesOf(this.#pool).get(name);
      const again = (kind.type as unknown as Loose)["fromHandle"]?.(handle) as Shareable;
      try {
        again.toHandle();
      } catch (error) {
        this.#violated(`it gave a dead one: ${error}`);
      }
      return;
    }
    const method = this.#pick(Reflect.ownKeys(kind.methods));
    const args = (kind.methods[method] as SyncKind["methods"][string])(object);
    const told = `${name}.${String(method)}() of one that is doomed`;
    // A thread that then waits for the lock itself, by wait(), waits for ever.
    if (kind.type === Condition && method === "waitAsync") return;
    this.#told = told;
    const result = (object as Loose)[method]?.(...args);
    if (result instanceof Promise) {
      this.#later(told, result.then((guard) => void (guard as Partial<Guard>)?.release?.()));
    }
  }

  async run(): Promise<void> {
    for (let call = 0; call < this.#run.calls && this.#failed === undefined; call++) {
      this.#count("calls");
      const kind = this.#next();
      if (kind < 0.45) this.#lockCall();
      else if (kind < 0.55) this.#attempt("a counter", () => this.#counterCall());
      else if (kind < 0.65) this.#attempt("a semaphore", () => this.#semaphoreCall());
      else if (kind < 0.75) this.#attempt("a barrier, latch or once", () => this.#meetingCall());
      else if (kind < 0.8) this.#attempt("an event count", () => this.#eventCall());
      else if (kind < 0.85) this.#attempt("an epoch", () => this.#epochCall());
      else if (kind < 0.92) this.#attempt("a doomed one", () => this.#doomedCall());
      // Deno stops a worker where it comes back to its event loop, and nowhere else.
      else await sleep(0);
    }
    if (this.#run.abandons && this.#failed === undefined) return;
    // Others may wait for these before they let go of what this thread's waits are for.
    for (const row of [...this.#held.keys()]) this.#release("a lock", row);
    while (this.#pending.size > 0) await Promise.all(this.#pending);
    if (this.#failed !== undefined) throw this.#failed;
    this.#tidy();
  }

  #tidy(): void {
    const { barrier, epoch, limited, permits } = this.#pool;
    this.#told = "the end";
    while (this.#inside-- > 0) epoch.exit();
    if (this.#limited > 0) limited.subtract(this.#limited);
    if (this.#permits > 0) permits.release(this.#permits);
    barrier.leave();
  }
}

/** How this thread may get again what is doomed. */
const handles = new WeakMap<Pool, ReadonlyMap<string, Handle>>();

function handlesOf(pool: Pool): ReadonlyMap<string, Handle> {
  const known = handles.get(pool) ?? new Map(
    Object.entries(pool.doomed.objects).map(([name, object]) =>
      [name, (object as Shareable).toHandle()] as const
    ),
  );
  handles.set(pool, known);
  return known;
}

/**
 * Runs a program.
 *
 * @param pool On what.
 * @param run Which one.
 * @throws When a call failed with anything but a NumaError, or did what it must not.
 */
export async function runSyncProgram(pool: Pool, run: Run): Promise<void> {
  try {
    await new Program(pool, run).run();
  } catch (error) {
    // One that is terminated loses its memory while it runs still.
    if (run.dies && error instanceof NumaError) throw error;
    throw new Error(`program ${run.seed}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}
