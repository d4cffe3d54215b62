import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cache, HashMap, OrderedMap, PriorityQueue, ReplicatedMap } from "../../mod.ts";
import { LONG } from "../../lib/structs/naps.ts";
import { COPY_OWNER, LOG_OWNER } from "../../lib/structs/placed/replicated_table.ts";
import { currentWaiter } from "../../lib/wait/thread_waiter.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { throwsCode } from "../support/errors.ts";

const MAP = { key: "u32", value: "u32", capacity: 8 } as const;
const CACHE = { capacity: "4 KiB", value: "text" } as const;
const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

interface Row {
  readonly memory: SharedArrayBuffer;
  /** Writes, under the lock. */
  readonly write: () => unknown;
  /** Needs no lock. */
  readonly read: () => unknown;
}

function hashMap(): Row {
  const memory = shared(HashMap.bytes(MAP));
  const map = HashMap.create(memory, MAP);
  return { memory, write: () => map.set(1, 2), read: () => map.get(1) };
}

function orderedMap(): Row {
  const memory = shared(OrderedMap.bytes(MAP));
  const map = OrderedMap.create(memory, MAP);
  return { memory, write: () => map.set(1, 2), read: () => map.get(1) };
}

function cache(): Row {
  const memory = shared(Cache.bytes(CACHE));
  const pages = Cache.create(memory, CACHE);
  return { memory, write: () => pages.set("a", "b"), read: () => pages.get("a") };
}

function priorityQueue(): Row {
  const memory = shared(PriorityQueue.bytes());
  const queue = PriorityQueue.create(memory);
  return { memory, write: () => queue.pushWord(1, 2), read: () => queue.recordWords };
}

/** With one of its words: of an owner of the log, or of the copy. */
function replicatedMap(at: number): Row & { readonly owner: Int32Array } {
  const memory = shared(ReplicatedMap.bytes(MAP));
  const map = ReplicatedMap.create(memory, MAP);
  // Behind the region's own line.
  const owner = new Int32Array(memory).subarray(LINE_WORDS + at);
  return { memory, owner, write: () => map.set(1, 2), read: () => map.get(1) };
}

/** The words that become a thread's id when something is locked: found by an owner that lives, in each word in turn. */
function ownerWords({ memory, write }: Row, id: number): number[] {
  const words = new Int32Array(memory);
  const found: number[] = [];
  const { compareExchange } = Atomics;
  try {
    Atomics.compareExchange = ((array: Int32Array, at: number, expected: number, value: number) => {
      if (value === id && array.buffer === memory) found.push(array.byteOffset / 4 + at);
      return compareExchange(array, at, expected, value);
    }) as typeof Atomics.compareExchange;
    write();
  } finally {
    Atomics.compareExchange = compareExchange;
  }
  assert.ok(found.length > 0 && found.every((at) => words[at] === 0));
  return found;
}

describe("a lock's word that says that a living thread has it", () => {
  for (const make of [hashMap, orderedMap, cache, priorityQueue]) {
    it(`stops a write after some time, and no read: ${make.name}`, () => {
      const row = make();
      const { id } = currentWaiter();
      const [at] = ownerWords(row, id) as [number];
      const words = new Int32Array(row.memory);
      row.write();
      const before = row.read();
      words[at] = id;
      throwsCode(
        row.write,
        "EBUSY",
        new RegExp(`another thread has been in the middle of that for ${LONG} looks`),
      );
      assert.deepEqual(row.read(), before);
      words[at] = 0;
      row.write();
    });
  }

  const busy = new RegExp(`in the middle of that for ${LONG} looks`);

  it("stops a write of a ReplicatedMap, and no read of a copy that has all", () => {
    const { owner, read, write } = replicatedMap(LOG_OWNER);
    write();
    owner[0] = currentWaiter().id;
    throwsCode(write, "EBUSY", busy);
    assert.equal(read(), 2);
    owner[0] = 0;
    write();
  });

  it("stops what needs a copy of a ReplicatedMap that has not all", () => {
    const { owner, read, write } = replicatedMap(COPY_OWNER);
    owner[0] = currentWaiter().id;
    // In the log, and so it has happened.
    write();
    throwsCode(read, "EBUSY", busy);
    throwsCode(write, "EBUSY", busy);
    owner[0] = 0;
    // The log is free, too.
    write();
    assert.equal(read(), 2);
  });
});
