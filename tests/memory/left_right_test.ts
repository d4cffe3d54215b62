import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Control, controlBytes, Reader, Writer } from "../../lib/memory/spread/left_right.ts";
import { LINE_BYTES } from "../../lib/wait/waiter.ts";

// Plain shared memory, no native library: threads are numbers here, and die when the test says so.

const READERS = 4;

/** The real one: two tests put another in its place, to have something happen just before. */
const store = Atomics.store as (words: Int32Array, index: number, value: number) => number;

class Machine {
  readonly copies: readonly Control[];
  readonly #dead = new Set<bigint>();

  constructor(copies: number) {
    this.copies = Array.from(
      { length: copies },
      () => new Control(new SharedArrayBuffer(controlBytes(READERS)), 0, READERS),
    );
  }

  readonly alive = (identity: bigint): boolean => !this.#dead.has(identity);

  kill(identity: bigint): void {
    this.#dead.add(identity);
  }

  reader(copy: number, slot: number, identity = BigInt(slot + 1)): Reader {
    return new Reader(this.copies[copy] as Control, slot, identity);
  }

  writer(identity: bigint): Writer {
    return new Writer(this.copies, identity, this.alive);
  }
}

describe("the control words", () => {
  it("keep version, readers and writer on lines of their own", () => {
    assert.equal(LINE_BYTES, 128);
    assert.equal(controlBytes(READERS), 5 * 128);
    const machine = new Machine(1);
    const words = (machine.copies[0] as Control).words;
    const changed = (before: Int32Array): number[] =>
      [...words.keys()].filter((word) => words[word] !== before[word])
        .map((word) => Math.floor(word * 4 / LINE_BYTES));
    let before = words.slice();
    const reader = machine.reader(0, 2);
    before = words.slice();
    reader.enter(0);
    assert.deepEqual(changed(before), [3], "a read writes its own line only");
    before = words.slice();
    machine.writer(9n).tryLock();
    machine.writer(9n).publish(1);
    assert.deepEqual([...new Set(changed(before))], [0], "an update the first line only");
  });

  it("tell what they belong to", () => {
    const control = new Machine(1).copies[0] as Control;
    const stamp = { family: 77n, place: 3, size: 2n ** 40n };
    assert.equal(control.bears(stamp), false);
    control.stamp(stamp);
    assert.equal(control.bears(stamp), true);
    for (const wrong of [{ family: 78n }, { place: 4 }, { size: 2n ** 40n + 1n }]) {
      assert.equal(control.bears({ ...stamp, ...wrong }), false);
    }
    assert.equal(new Control(control.words.buffer, 0, READERS - 1).bears(stamp), false);
  });
});

describe("a reader", () => {
  it("that slept while the versions went half way round takes the newest, and leaves it", () => {
    const machine = new Machine(2);
    const reader = machine.reader(1, 0);
    for (const missed of [2, 2 ** 31 - 1, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 2]) {
      const newest = missed | 0;
      machine.writer(9n).publish(newest);
      assert.equal(reader.enter(0), newest);
      assert.deepEqual(machine.copies.map(({ version }) => version), [newest, newest]);
      reader.leave(newest & 1);
    }
  });

  it("raises the word of a copy that the writer has yet to come to, and of no other", () => {
    const machine = new Machine(2);
    (machine.copies[0] as Control).publish(-(2 ** 31));
    (machine.copies[1] as Control).publish(2 ** 31 - 1);
    const reader = machine.reader(1, 0);
    assert.equal(reader.enter(-(2 ** 31)), -(2 ** 31));
    assert.deepEqual(machine.copies.map(({ version }) => version), [-(2 ** 31), -(2 ** 31)]);
  });

  it("holds its side until the last of its reads there ends", () => {
    const machine = new Machine(2);
    const reader = machine.reader(1, 0);
    const writer = machine.writer(9n);
    assert.equal(reader.enter(0), 0);
    assert.equal(reader.enter(0), 0);
    assert.equal(writer.blocker(1), undefined);
    assert.deepEqual(writer.blocker(0), { copy: 1, slot: 0, identity: 1n });
    writer.publish(1);
    assert.equal(reader.enter(0), 1, "a nested read sees what is new");
    reader.leave(0);
    assert.notEqual(writer.blocker(0), undefined);
    reader.leave(0);
    assert.equal(writer.blocker(0), undefined);
    assert.notEqual(writer.blocker(1), undefined);
    reader.leave(1);
    assert.equal(writer.blocker(1), undefined);
  });

  it("never goes back: what it has seen on one copy it sees on all", () => {
    const machine = new Machine(2);
    const [first, second] = [machine.reader(0, 0), machine.reader(1, 0)];
    // A writer is half through publishing.
    machine.copies[0]?.publish(1);
    const seen = first.enter(0);
    assert.equal(seen, 1);
    assert.equal(machine.copies[1]?.version, 0);
    assert.equal(second.enter(seen), 1);
    assert.equal(machine.copies[1]?.version, 1);
  });

  it("looks again, and moves on, when a version is published as it announces itself", () => {
    const machine = new Machine(1);
    const reader = machine.reader(0, 0);
    const writer = machine.writer(9n);
    let version = 0;
    const overtake = (words: Int32Array, index: number, value: number): number => {
      // The reader is about to announce what it found current; two updates come first.
      if (version < 2) {
        Atomics.store = store as typeof Atomics.store;
        for (let round = 0; round < 2; round++) {
          assert.equal(writer.blocker(1 - (version & 1)), undefined);
          writer.publish(++version);
        }
      }
      return store(words, index, value);
    };
    try {
      Atomics.store = overtake as typeof Atomics.store;
      assert.equal(reader.enter(0), 2);
    } finally {
      Atomics.store = store as typeof Atomics.store;
    }
    assert.equal(writer.blocker(1), undefined, "it holds nothing but what it reads");
    assert.notEqual(writer.blocker(0), undefined);
    reader.leave(0);
    assert.equal(writer.blocker(0), undefined);
  });

  it("takes an announcement back that came too late", () => {
    const machine = new Machine(1);
    const reader = machine.reader(0, 0);
    const writer = machine.writer(9n);
    const overtake = (words: Int32Array, index: number, value: number): number => {
      Atomics.store = store as typeof Atomics.store;
      writer.publish(1);
      return store(words, index, value);
    };
    try {
      Atomics.store = overtake as typeof Atomics.store;
      assert.equal(reader.enter(0), 1);
    } finally {
      Atomics.store = store as typeof Atomics.store;
    }
    assert.equal(writer.blocker(0), undefined, "the side of version 2 is free");
    assert.notEqual(writer.blocker(1), undefined);
  });

  it("goes on where the version's 32 bits wrap", () => {
    const machine = new Machine(2);
    const reader = machine.reader(0, 0);
    const writer = machine.writer(9n);
    writer.publish(2 ** 31 - 1);
    assert.equal(reader.enter(2 ** 31 - 2), 2 ** 31 - 1);
    reader.leave(1);
    machine.copies[1]?.publish(-(2 ** 31));
    assert.equal(writer.settle(), -(2 ** 31));
    assert.equal(reader.enter(2 ** 31 - 1), -(2 ** 31));
    reader.leave(0);
    writer.publish(-1);
    writer.publish((-1 + 1) | 0);
    assert.equal(reader.enter(-1), 0);
  });

  it("survives that its memory goes away in the middle of a read", () => {
    const buffer = new ArrayBuffer(controlBytes(READERS));
    const reader = new Reader(new Control(buffer, 0, READERS), 0, 1n);
    reader.enter(0);
    structuredClone(buffer, { transfer: [buffer] });
    reader.leave(0);
    reader.close();
  });

  it("is no obstacle when dead, nor is its line for the next thread of its slot", () => {
    const machine = new Machine(1);
    machine.reader(0, 3, 100n).enter(0);
    const writer = machine.writer(9n);
    assert.deepEqual(writer.blocker(0), { copy: 0, slot: 3, identity: 100n });
    machine.kill(100n);
    assert.equal(writer.blocker(0), undefined);
    const next = machine.reader(0, 3, 101n);
    assert.equal(writer.blocker(0), undefined);
    next.enter(0);
    assert.deepEqual(writer.blocker(0), { copy: 0, slot: 3, identity: 101n });
  });
});

describe("a writer", () => {
  it("is one at a time", () => {
    const machine = new Machine(2);
    const [first, second] = [machine.writer(8n), machine.writer(9n)];
    assert.equal(first.tryLock(), 0n);
    assert.equal(first.tryLock(), 8n);
    assert.equal(second.tryLock(), 8n);
    second.unlock();
    assert.equal(second.tryLock(), 8n, "nobody unlocks what another has locked");
    first.unlock();
    assert.equal(second.tryLock(), 0n);
  });

  it("is followed by another when it dies, which ends what it had begun to publish", () => {
    const machine = new Machine(3);
    const reader = machine.reader(2, 0);
    const [first, second] = [machine.writer(8n), machine.writer(9n)];
    first.tryLock();
    machine.copies[1]?.publish(1);
    machine.kill(8n);
    assert.equal(reader.enter(0), 0, "until then the others read the version before");
    reader.leave(0);
    assert.equal(second.tryLock(), 0n);
    assert.equal(second.settle(), 1);
    assert.deepEqual(machine.copies.map(({ version }) => version), [1, 1, 1]);
    assert.equal(machine.writer(7n).tryLock(), 9n, "the dead one is forgotten");
  });

  it("looks only at lines that were ever used, and at all of them", () => {
    const machine = new Machine(1);
    const writer = machine.writer(9n);
    const readers = Array.from({ length: READERS }, (_, slot) => machine.reader(0, slot));
    for (const [slot, reader] of readers.entries()) {
      reader.enter(0);
      assert.equal(writer.blocker(0)?.slot, slot);
      reader.leave(0);
    }
    // Scribbled over: never out of bounds.
    (machine.copies[0] as Control).words[1] = 2 ** 31 - 1;
    assert.equal(writer.blocker(0), undefined);
  });
});
