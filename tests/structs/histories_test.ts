import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HashMap, OrderedMap, ReplicatedMap } from "../../mod.ts";
import { repeats } from "../support/extent.ts";
import { runHistory } from "../support/launches.ts";
import { sharedWords } from "../support/words.ts";
import { CALL_WORDS, CALLS } from "../workers/histories.ts";

/** A call of one key; of its result and values 0 means none. */
interface Call {
  readonly what: typeof CALLS[number];
  readonly value: number;
  readonly expected: number;
  readonly result: number;
  readonly begin: number;
  readonly end: number;
}

/** The value that a key has after a call that found it with another one; undefined: the call would have had another result. */
function after(before: number, { what, value, expected, result }: Call): number | undefined {
  switch (what) {
    case "get":
      return result === before ? before : undefined;
    case "set":
      return value;
    case "delete":
      return result === Number(before !== 0) ? 0 : undefined;
    case "add":
      return result === before + value ? result : undefined;
    case "compareExchange":
      if (result !== before) return undefined;
      return before === expected ? value : before;
    case "getOrInsert":
      return result === (before === 0 ? value : before) ? result : undefined;
  }
}

/**
 * Whether there is an order of all calls of a key in which each has its result, and comes between its begin and its end
 * (Wing and Gong, 1993; a state that was tried is not tried again, as Lowe has it, 2017).
 */
function isLinear(threads: readonly (readonly Call[])[]): boolean {
  const tried = new Set<string>();
  const stack = [{ done: threads.map(() => 0), value: 0 }];
  for (let state = stack.pop(); state !== undefined; state = stack.pop()) {
    const { done, value } = state;
    const next = threads.map((calls, thread) => calls[done[thread] as number]);
    if (next.every((call) => call === undefined)) return true;
    const key = `${done} ${value}`;
    if (tried.has(key)) continue;
    tried.add(key);
    const end = Math.min(...next.map((call) => call?.end ?? Infinity));
    for (const [thread, call] of next.entries()) {
      if (call === undefined || call.begin > end) continue;
      const then = after(value, call);
      if (then === undefined) continue;
      stack.push({ done: done.with(thread, (done[thread] as number) + 1), value: then });
    }
  }
  return false;
}

function callsOf(log: Int32Array, key: number): Call[] {
  const calls: Call[] = [];
  for (let at = 0; at < log.length; at += CALL_WORDS) {
    const [what, of, value, expected, result, begin, end] = log.subarray(at, at + CALL_WORDS) as
      & Int32Array
      & readonly [number, number, number, number, number, number, number];
    if (of === key) {
      calls.push({
        what: CALLS[what] as typeof CALLS[number],
        ...{ value, expected, result, begin, end },
      });
    }
  }
  return calls;
}

describe("an order for what threads have seen", () => {
  const call = (
    what: Call["what"],
    value: number,
    result: number,
    begin: number,
    end: number,
    expected = 0,
  ): Call => ({ what, value, result, begin, end, expected });

  it("is found if there is one", () => {
    assert.ok(isLinear([[], []]));
    // They overlap, so either may be first.
    assert.ok(isLinear([[call("set", 5, 0, 0, 3)], [call("get", 0, 0, 1, 2)]]));
    assert.ok(isLinear([[call("set", 5, 0, 0, 3)], [call("get", 0, 5, 1, 2)]]));
    assert.ok(isLinear([
      [call("set", 5, 0, 0, 3), call("delete", 0, 1, 4, 9)],
      [call("compareExchange", 6, 5, 1, 5, 5), call("add", 2, 8, 6, 7)],
    ]));
    assert.ok(isLinear([[call("getOrInsert", 4, 4, 0, 1)], [call("getOrInsert", 9, 4, 2, 3)]]));
  });

  it("is not found if there is none", () => {
    assert.ok(!isLinear([[call("set", 5, 0, 0, 1)], [call("get", 0, 0, 2, 3)]]));
    assert.ok(!isLinear([[call("set", 5, 0, 0, 1)], [call("delete", 0, 0, 2, 3)]]));
    const gets = [call("get", 0, 5, 1, 2), call("get", 0, 0, 3, 4)];
    assert.ok(!isLinear([[call("set", 5, 0, 0, 9)], gets]), "a new value, and then the old one");
    assert.ok(!isLinear([[call("add", 1, 1, 0, 2)], [call("add", 1, 1, 1, 3)]]), "one is lost");
    assert.ok(!isLinear([[call("getOrInsert", 4, 4, 0, 2)], [call("getOrInsert", 9, 9, 1, 3)]]));
    assert.ok(!isLinear([[call("compareExchange", 6, 0, 0, 1)], [call("get", 0, 0, 2, 3)]]));
  });
});

const KEYS = 3;
const THREADS = 4;
const numbers = { key: "u32", value: "u32", capacity: 2000 } as const;
const MAPS = {
  HashMap: () => HashMap.create(new SharedArrayBuffer(HashMap.bytes(numbers)), numbers),
  OrderedMap: () => OrderedMap.create(new SharedArrayBuffer(OrderedMap.bytes(numbers)), numbers),
  ReplicatedMap: () => {
    const copies = [0, 1, 2].map(() => new SharedArrayBuffer(ReplicatedMap.bytes(numbers)));
    return ReplicatedMap.create(copies, numbers);
  },
};

for (const [name, make] of Object.entries(MAPS)) {
  describe(`${name}, by what several threads have seen`, () => {
    it("does each call at one moment between its begin and its end", async () => {
      for (let round = 0; round < repeats(2); round++) {
        const map = make();
        const clock = sharedWords(2);
        const logs = Array.from({ length: THREADS }, () => sharedWords(CALL_WORDS * 3000));
        await Promise.all(
          logs.map((log, thread) =>
            runHistory({ map, clock, log, thread, threads: THREADS, keys: KEYS }).join()
          ),
        );
        for (let key = 0; key < KEYS; key++) {
          const threads = logs.map((log) => callsOf(log, key));
          assert.ok(threads.every((calls) => calls.length > 500));
          assert.ok(isLinear(threads), `no order for key ${key}`);
        }
      }
    });
  });
}
