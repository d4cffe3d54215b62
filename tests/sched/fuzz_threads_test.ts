/**
 * Wrong arguments for all that moves, groups, restarts and watches threads. What a class can do is found by looking at it, so
 * that a new method has to have a row here.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  joinAll,
  launch,
  launchAll,
  MachineWatch,
  NumaError,
  placeHelpers,
  Policy,
  supervise,
  SupervisedThread,
  Thread,
  ThreadGroup,
  watchMachine,
} from "../../mod.ts";
import { Restarts } from "../../lib/sched/groups/restarts.ts";
import { sibling } from "../support/checkout.ts";
import { random } from "../support/fuzz.ts";

const module = sibling(import.meta.url, "../workers/movable");
const idle = { task: "idle" } as const;
const next = random(15);

function pick<Value>(values: readonly Value[]): Value {
  return values[Math.floor(next() * values.length)] as Value;
}

const KEYS = [
  ...["policy", "name", "place", "bind", "nice", "restart", "count", "transfer", "stopOnFailure"],
  ...["timeoutMs", "buffers", "onProgress", "signal", "cpus", "names", "intervalMs", "replan"],
  ...["on", "times", "withinMs", "delayMs", "maxDelayMs", "kind", "node"],
];

/** What callers get wrong. */
const WRONG: readonly unknown[] = [
  ...[null, NaN, -0, -1, 0.5, 2 ** 53, 2 ** 64, Infinity, 5n, true, Symbol("x"), "node:99", ""],
  ...[[null, 5], new Uint8Array(1), new Map([[1, 2]]).keys],
];
/** What has no options in it, and so would be right as options. */
const EMPTY: readonly unknown[] = [
  ...[[], new Uint8Array(0), Object.create(null), new Proxy({}, {}), new Date(0)],
  ...[Object.create(Policy.prototype), Object.create(Thread.prototype)],
];

function wrong(): unknown {
  if (next() < 0.4) return pick(WRONG);
  const keys = Array.from({ length: 1 + Math.floor(next() * 3) }, () => pick(KEYS));
  const options = Object.fromEntries(keys.map((key) => [key, pick([...WRONG, ...EMPTY])]));
  return next() < 0.5 ? options : { ...options, what: pick(WRONG) };
}

type Call = (...args: never[]) => unknown;

/** Only NumaErrors come of wrong arguments, thrown or rejected. */
async function check(name: string, call: Call, ...args: readonly unknown[]): Promise<void> {
  try {
    await call(...args as never[]);
  } catch (error) {
    assert.ok(error instanceof NumaError, `${name}: ${error} ${(error as Error)?.stack}`);
    assert.match(error.message, /^Cannot .+: .+/s, name);
  }
}

/** The methods of a class by name, with those of symbols. */
function methodsOf(type: { readonly prototype: object }): string[] {
  const found = Object.getOwnPropertyDescriptors(type.prototype);
  return Object.entries(found)
    .filter(([name, { value }]) => typeof value === "function" && name !== "constructor")
    .map(([name]) => name);
}

/** What is called with wrong arguments, and what takes none and is left out, of each class. */
const ROWS: readonly (readonly [{ readonly prototype: object }, string[], string[]])[] = [
  [Thread, ["migrate", "postMessage", "on", "off", "terminate"], ["join"]],
  [ThreadGroup, ["at", "migrate", "terminate"], ["join"]],
  [SupervisedThread, ["postMessage", "on", "off", "terminate"], ["join"]],
  [MachineWatch, ["on", "off"], ["check", "stop"]],
  [Restarts, [], ["next"]],
];
const TIMES = 150;

describe("wrong arguments", () => {
  it("are given to every method", () => {
    for (const [type, called, left] of ROWS) {
      // Others add methods to threads, and rows of their own.
      const names = methodsOf(type).filter((name) => type !== Thread || called.includes(name));
      const rows = [...called, ...(type === Thread ? [] : left)];
      assert.deepEqual(names.sort(), rows.sort(), String(type));
    }
  });

  it("give typed errors, and leave objects usable", async () => {
    const thread = launch(module, { args: idle });
    const group = launchAll(module, { count: 1, args: () => idle });
    const kept = supervise(module, { args: idle });
    using watch = watchMachine({ intervalMs: 1000 });
    const objects = [thread, group, kept, watch];
    const calls = objects.flatMap((object) => {
      const [, called] = ROWS.find(([type]) => object instanceof (type as never)) ?? [null, []];
      return called.map((name) => [object, name] as const);
    });
    for (let time = 0; time < TIMES; time++) {
      const [object, name] = pick(calls);
      const method = (object as unknown as Record<string, Call>)[name] as Call;
      // A call of terminate without a wrong argument would be right, and a message may be almost anything.
      if (name === "postMessage") await check(name, method.bind(object), () => {}, wrong());
      else if (name === "migrate" && next() < 0.3) {
        await check(name, method.bind(object), Policy.bindNode(63), undefined);
      } else await check(name, method.bind(object), wrong(), wrong());
    }
    assert.deepEqual([thread.state, kept.state, group.at(0)?.state], [
      "running",
      "running",
      "running",
    ]);
    assert.equal(watch.stopped, false);
    await Promise.all([thread.terminate(), group.terminate(), kept.terminate()]);
  });

  it("give typed errors, whatever is started", async () => {
    const functions: Readonly<Record<string, () => Promise<void>>> = {
      launchAll: () => check("launchAll", launchAll as Call, module, wrong()),
      launchAllUrl: () => check("launchAll", launchAll as Call, wrong(), { count: 1 }),
      supervise: () => check("supervise", supervise as Call, module, wrong()),
      superviseRestart: () => check("supervise", supervise as Call, module, { restart: wrong() }),
      watchMachine: () =>
        check("watchMachine", ((options: never) => watchMachine(options).stop()) as Call, wrong()),
      placeHelpers: () => check("placeHelpers", placeHelpers as Call, wrong()),
    };
    for (let time = 0; time < TIMES; time++) await pick(Object.values(functions))();
    // Some options are right by chance, and "node:99" is a URL, of no module.
    await joinAll().catch(() => {});
  });

  it("of functions that call again, and getters that change, do no harm", async () => {
    const thread = launch(module, { args: idle });
    let looks = 0;
    const options = {
      get timeoutMs() {
        return looks++ === 0 ? 1 : NaN;
      },
    };
    await thread.migrate(Policy.unbound(), options);
    assert.equal(looks, 1);
    const buffer = new Uint8Array(new SharedArrayBuffer(2 ** 16)).fill(1);
    const inner: Promise<unknown>[] = [];
    await thread.migrate(Policy.bindNode(0), {
      buffers: [buffer],
      onProgress: () => void inner.push(thread.migrate(Policy.unbound(), { timeoutMs: 1 })),
    }).catch((error) =>
      assert.ok(error instanceof NumaError && error.code === "EPERM", `${error}`)
    );
    await Promise.all(inner);
    const thrown = new Error("mine");
    await thread.migrate(Policy.bindNode(0), {
      buffers: [buffer],
      onProgress() {
        throw thrown;
      },
    }).catch((error) => assert.ok(error === thrown || error.code === "EPERM", `${error}`));
    await thread.terminate();
  });
});
