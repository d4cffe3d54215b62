import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RwCore } from "../../lib/sync/readers/rw_core.ts";
import { RwSpinCore } from "../../lib/sync/readers/rw_spin_core.ts";
import { READ_TRIES, SeqCore } from "../../lib/sync/readers/seq_core.ts";
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import { ID_MASK, LINE_WORDS, type Waiter } from "../../lib/wait/waiter.ts";
import { Crew } from "../support/crew.ts";
import { coreName, SHARED, type Sides } from "../support/locks.ts";
import { sharedWords } from "../support/words.ts";

// The algorithms over plain words, one thread after the other; readers_test.ts has the classes, in real threads.

const SHAPE = { threads: 4, domains: 2 };

for (const row of SHARED) {
  const { core } = row;
  describe(`${coreName(row)}, one thread after the other`, () => {
    const setup = (): { a: Waiter; b: Waiter; crew: Crew; lock: Sides<LockCore> } => {
      const crew = new Crew();
      return { a: crew.member(0), b: crew.member(3), crew, lock: core.make(SHAPE) };
    };

    it("lets many read, or one write", () => {
      const { a, b, lock } = setup();
      assert.ok(lock.read.tryAcquire(a) && lock.read.begin(b));
      assert.ok(lock.read.holds(a) && lock.read.holds(b));
      assert.equal(lock.write.tryAcquire(a), false);
      assert.ok(lock.read.release(a) && lock.read.release(b));
      assert.ok(lock.write.begin(b) && lock.write.holds(b));
      assert.equal(lock.read.tryAcquire(a), false);
      assert.equal(lock.write.tryAcquire(a), false);
      assert.ok(lock.write.release(b));
      assert.ok(lock.read.tryAcquire(a));
    });

    it("is released by who has it only", () => {
      const { a, b, lock } = setup();
      assert.equal(lock.read.release(a), false);
      assert.equal(lock.write.release(a), false);
      assert.ok(lock.read.tryAcquire(a));
      assert.equal(lock.read.release(b), false);
      assert.equal(lock.write.release(a), false);
      assert.ok(lock.read.release(a));
      assert.equal(lock.read.release(a), false);
      assert.ok(lock.write.tryAcquire(a));
      assert.equal(lock.write.release(b), false);
      assert.equal(lock.read.release(a), false);
    });

    it("leaves nothing behind when a wait is given up", () => {
      const { a, b, lock } = setup();
      for (
        const [holder, waiter] of [["write", "read"], ["write", "write"], [
          "read",
          "write",
        ]] as const
      ) {
        assert.ok(lock[holder].tryAcquire(a));
        assert.equal(lock[waiter].begin(b), false);
        const wait = lock[waiter].wait(b);
        assert.equal(wait.next(false).done, false);
        assert.deepEqual(wait.next(true), { value: false, done: true });
        assert.ok(lock[holder].release(a));
        assert.ok(lock.write.tryAcquire(a) && lock.write.release(a));
        assert.ok(lock.read.tryAcquire(a) && lock.read.release(a));
      }
    });

    it("goes to a writer when a writer died, and to nobody when that says nothing", () => {
      const { a, b, crew, lock } = setup();
      assert.ok(lock.write.tryAcquire(a));
      crew.dead.add(a.id);
      assert.equal(lock.read.begin(b), false);
      assert.deepEqual(lock.read.wait(b).next(false), { value: false, done: true });
      assert.equal(lock.read.broken?.(), true);
      assert.ok(lock.write.tryAcquire(b));
      assert.equal(lock.write.ownerDied?.(), true);
      assert.ok(lock.write.release(b));
      assert.equal(lock.write.tryAcquire(b), false);
      assert.equal(lock.write.broken?.(), true);
      assert.ok(lock.write.markConsistent?.(b));
      assert.equal(lock.write.markConsistent?.(b), false);
      assert.ok(lock.read.tryAcquire(b) && lock.read.release(b));
      assert.ok(lock.write.tryAcquire(b));
      assert.equal(lock.write.ownerDied?.(), false);
    });
  });
}

describe("RwCore", () => {
  it("keeps each reader on a line of its own, which no other writes", () => {
    const words = sharedWords(RwCore.words(SHAPE));
    const crew = new Crew();
    const lock = new RwCore(words, SHAPE);
    for (let slot = 0; slot < SHAPE.threads; slot++) {
      lock.read.tryAcquire(crew.member(slot));
      lock.read.release(crew.member(slot));
    }
    const lines = new Set<number>();
    for (let slot = 0; slot < SHAPE.threads; slot++) {
      const before = words.slice();
      lock.read.tryAcquire(crew.member(slot));
      const changed = [...words.keys()].filter((word) => words[word] !== before[word]);
      assert.equal(changed.length, 1);
      lines.add(Math.floor((changed[0] as number) / LINE_WORDS));
    }
    assert.equal(lines.size, SHAPE.threads);
    assert.ok(!lines.has(0));
  });

  it("wakes a sleeping writer when the reader that it waits for leaves, and no sooner", () => {
    const crew = new Crew();
    const [a, b, c] = [crew.member(0), crew.member(1), crew.member(2)];
    const lock = new RwCore(sharedWords(RwCore.words(SHAPE)), SHAPE);
    lock.read.tryAcquire(a);
    lock.read.tryAcquire(b);
    assert.equal(lock.write.begin(c), false);
    assert.equal(lock.write.holds(c), false);
    const wait = lock.write.wait(c);
    wait.next(false);
    assert.equal(lock.read.tryAcquire(crew.member(3)), false, "no later reader gets in");
    lock.read.release(b);
    assert.deepEqual(crew.woken, []);
    lock.read.release(a);
    assert.deepEqual(crew.woken, [c.id]);
    assert.deepEqual(wait.next(false), { value: true, done: true });
    assert.ok(lock.write.holds(c) && lock.write.release(c));
  });

  it("lets sleeping readers in after some writers, and none before them", () => {
    const crew = new Crew();
    const [reader, other] = [crew.member(0), crew.member(1)];
    const lock = new RwCore(sharedWords(RwCore.words(SHAPE)), SHAPE, 2);
    let [now, next] = [crew.member(2), crew.member(3)];
    assert.ok(lock.write.tryAcquire(now));
    const waits = [reader, other].map((me) => {
      assert.equal(lock.read.begin(me), false);
      const wait = lock.read.wait(me);
      wait.next(false);
      return wait;
    });
    for (let passed = 0; passed < 3; passed++) {
      assert.equal(lock.write.begin(next), false);
      const wait = lock.write.wait(next);
      wait.next(false);
      crew.woken.length = 0;
      lock.write.release(now);
      assert.equal(crew.woken.at(-1), next.id);
      const readersIn = passed === 2;
      assert.equal(lock.read.holds(reader) && lock.read.holds(other), readersIn);
      assert.equal(wait.next(false).done, !readersIn);
      if (readersIn) {
        for (const wait of waits) assert.deepEqual(wait.next(false), { value: true, done: true });
        lock.read.release(reader);
        lock.read.release(other);
        assert.deepEqual(wait.next(false), { value: true, done: true });
      }
      [now, next] = [next, now];
    }
    assert.ok(lock.write.release(now));
  });

  it("lets sleeping readers in when only newcomers write, as the writer that was woken is slow", () => {
    const crew = new Crew();
    const [reader, slow, quick] = [crew.member(0), crew.member(1), crew.member(2)];
    const lock = new RwCore(sharedWords(RwCore.words(SHAPE)), SHAPE);
    assert.ok(lock.write.tryAcquire(quick));
    for (const [side, me] of [[lock.read, reader], [lock.write, slow]] as const) {
      assert.equal(side.begin(me), false);
      side.wait(me).next(false);
    }
    lock.write.release(quick);
    assert.deepEqual(crew.woken, [slow.id]);
    assert.ok(lock.write.tryAcquire(quick) && lock.write.release(quick));
    assert.ok(lock.read.holds(reader));
  });

  it("does not wait for a dead reader, nor for its slot's next user", () => {
    const crew = new Crew();
    const [dead, writer] = [crew.member(1), crew.member(2)];
    const lock = new RwCore(sharedWords(RwCore.words(SHAPE)), SHAPE);
    lock.read.tryAcquire(dead);
    assert.equal(lock.write.tryAcquire(writer), false);
    crew.dead.add(dead.id);
    assert.ok(lock.write.tryAcquire(writer) && lock.write.release(writer));
    const heir = crew.member(1, 77);
    assert.ok(!lock.read.release(heir) && lock.read.tryAcquire(heir) && lock.read.release(heir));
  });

  it("does not say that a writer died that had not begun", () => {
    const crew = new Crew();
    const [reader, dead, writer] = [crew.member(0), crew.member(1), crew.member(2)];
    const lock = new RwCore(sharedWords(RwCore.words(SHAPE)), SHAPE);
    lock.read.tryAcquire(reader);
    assert.equal(lock.write.begin(dead), false);
    lock.write.wait(dead).next(false);
    crew.dead.add(dead.id);
    lock.read.release(reader);
    assert.ok(lock.write.tryAcquire(writer));
    assert.equal(lock.write.ownerDied(), false);
  });

  it("does not say so either where a reader finds that writer", () => {
    const crew = new Crew();
    const [inside, dead, reader] = [crew.member(0), crew.member(1), crew.member(2)];
    const lock = new RwCore(sharedWords(RwCore.words(SHAPE)), SHAPE);
    lock.read.tryAcquire(inside);
    assert.equal(lock.write.begin(dead), false);
    lock.write.wait(dead).next(false);
    crew.dead.add(dead.id);
    assert.equal(lock.read.begin(reader), false);
    assert.deepEqual(lock.read.wait(reader).next(false), { value: true, done: true });
    assert.equal(lock.read.ownerDied(), false);
  });
});

describe("RwSpinCore", () => {
  it("is one word, and keeps readers out while a writer waits", () => {
    assert.equal(RwSpinCore.words(SHAPE), 1);
    const crew = new Crew();
    const [a, b, c] = [crew.member(0), crew.member(1), crew.member(2)];
    const lock = new RwSpinCore(sharedWords(1), SHAPE);
    lock.read.tryAcquire(a);
    lock.write.begin(b);
    const wait = lock.write.wait(b);
    assert.equal(wait.next(false).done, false);
    assert.equal(lock.read.tryAcquire(c), false);
    lock.read.release(a);
    assert.deepEqual(wait.next(false), { value: true, done: true });
  });

  it("counts no more readers than it has bits for", () => {
    const words = sharedWords(1);
    const lock = new RwSpinCore(words, SHAPE);
    words[0] = ID_MASK;
    assert.equal(lock.read.tryAcquire(new Crew().member(0)), false);
    assert.equal(words[0], ID_MASK);
  });

  it("forgets a writer that died waiting", () => {
    const crew = new Crew();
    const [a, dead] = [crew.member(0), crew.member(1)];
    const lock = new RwSpinCore(sharedWords(1), SHAPE);
    lock.read.tryAcquire(a);
    lock.write.begin(dead);
    lock.write.wait(dead).next(false);
    crew.dead.add(dead.id);
    lock.read.release(a);
    assert.equal(lock.read.begin(a), false);
    const wait = lock.read.wait(a);
    assert.equal(wait.next(false).done, false);
    assert.deepEqual(wait.next(false), { value: true, done: true });
  });
});

describe("SeqCore", () => {
  const SIZE = 16;

  it("reads what was written, whatever the size", () => {
    for (const size of [1, 2, 15, 16]) {
      const core = new SeqCore(sharedWords(SeqCore.words(SHAPE, size)), SHAPE, size);
      const out = new Int32Array(size);
      for (let round = 0; round < 5; round++) {
        const values = Array.from({ length: size }, (_, word) => round * 100 - word);
        core.write(values);
        assert.ok(core.read(out));
        assert.deepEqual([...out], values);
      }
    }
    assert.equal(SeqCore.words(SHAPE, 15), LINE_WORDS);
  });

  it("goes on where the version wraps", () => {
    const words = sharedWords(SeqCore.words(SHAPE, 1));
    words[0] = 2 ** 31 - 1;
    const core = new SeqCore(words, SHAPE, 1);
    const out = new Int32Array(1);
    for (const value of [5, 6, 7]) {
      core.write([value]);
      assert.ok(core.read(out));
      assert.equal(out[0], value);
    }
  });

  it("is not held up by a writer that stands still or dies half-way", () => {
    const crew = new Crew();
    const words = sharedWords(SeqCore.words(SHAPE, SIZE));
    const core = new SeqCore(words, SHAPE, SIZE);
    const [dead, heir] = [crew.member(0), crew.member(1)];
    core.write(new Int32Array(SIZE).fill(1));
    const out = new Int32Array(SIZE);
    assert.ok(core.begin(dead));
    const values = {
      length: SIZE,
      get 7(): number {
        assert.ok(core.read(out));
        throw new Error("stop");
      },
    } as unknown as ArrayLike<number>;
    assert.throws(() => core.write(values), /stop/);
    assert.ok(core.read(out) && out.every((word) => word === 1));
    assert.equal(core.tryAcquire(heir), false);
    crew.dead.add(dead.id);
    assert.ok(core.tryAcquire(heir));
    core.write(new Int32Array(SIZE).fill(2));
    assert.ok(core.release(heir) && core.read(out) && out.every((word) => word === 2));
  });

  it("gives up reading when a write comes in between every time, and not before", () => {
    for (const most of [1, READ_TRIES - 1, READ_TRIES]) {
      const core = new SeqCore(sharedWords(LINE_WORDS), SHAPE, 1);
      let writes = 0;
      const out = new Proxy(new Int32Array(1), {
        set(): boolean {
          if (writes < most) core.write([++writes]);
          return true;
        },
      });
      assert.equal(core.read(out), most < READ_TRIES);
      assert.equal(writes, most);
    }
  });
});
