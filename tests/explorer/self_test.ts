import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { explore, recall, walk } from "./explore.ts";
import { jain, Lines, missed, shareAcross } from "./lines.ts";
import type { Observer } from "./ops.ts";
import type { Case, Program, Spec, Traffic, World } from "./spec.ts";
import { applyMutants, loadStepwise, type Stepwise } from "./transform.ts";

const SOURCE = "build/model/source.ts";

/** Transforms a text as if it were a file of the checkout. */
async function stepwise(text: string, plainSteps: readonly string[] = []): Promise<Stepwise> {
  const folder = fileURLToPath(new URL("../../build/model/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  writeFileSync(new URL(`../../${SOURCE}`, import.meta.url), text);
  return await loadStepwise(SOURCE, { plainSteps });
}

const base = { threads: 2, words: 8, preemptions: 3 };

/** Explores the case that a text exports. */
async function exploreText(text: string, extra: Partial<Case> = {}): Promise<string | undefined> {
  const { module, sites } = await stepwise(text);
  const setup = module["setup"] as Case["setup"];
  return explore({ ...base, ...extra, setup }, sites).violation;
}

describe("the transform", () => {
  it("steps into private methods, getters, statics, closures, patterns and constructors", async () => {
    const violation = await exploreText(`
      class Cell {
        static #made = 0;
        readonly #words: Int32Array;
        readonly #at: number;
        #seen = 0;
        constructor(words: Int32Array, at: number) {
          this.#words = words;
          this.#at = at;
          Cell.#made++;
          this.#seen = Atomics.load(words, at);
        }
        static first(words: Int32Array): Cell { return new Cell(words, 0); }
        static *all(words: Int32Array) { yield* [new Int32Array(words.buffer)]; }
        get value(): number { return Atomics.load(this.#words, this.#at); }
        set value(value: number) { Atomics.store(this.#words, this.#at, value); }
        get #twice(): number { return 2 * this.value; }
        #add(count: number, ...more: number[]): number {
          return Atomics.add(this.#words, this.#at, count + more.length) + count;
        }
        increment(): this { this.#seen = this.#add(1); return this; }
        double(): number { return this.#twice + this.#seen * 0; }
        get(key: number): number { return Atomics.load(this.#words, key); }
      }
      function sum(cells: readonly Cell[], term: (cell: Cell) => number): number {
        let total = 0;
        for (const cell of cells) total += term(cell);
        return total;
      }
      export function setup(world: any): any {
        const numbers = new Map([[0, 5]]);
        const thread = () => {
          const cell = Cell.first(world.words);
          cell.increment().increment();
          const { value } = cell;
          world.check(value >= 2 && cell.double() >= 4, "what this thread has added is there");
          world.check(numbers.get(0) === 5, "a builtin of the same name");
          for (const { value: again } of [cell, cell]) world.check(again >= value, "it only grows");
          world.check(sum([cell, cell], (c) => c.value) >= 4, "closures");
          const local = [1, 2];
          local[0]! += 3;
          local[1]!++;
          world.check(local[0] === 4 && local[1] === 3, "arrays of its own");
        };
        return {
          threads: [thread, thread],
          end() {
            const cell = new Cell(world.words, 0);
            world.check(cell.value === 4, "four in the end");
            cell.value = 7;
            world.check(world.words[0] === 7, "a setter");
          },
        };
      }
    `);
    assert.equal(violation, undefined);
  });

  const refused: Record<string, [RegExp, string]> = {
    "a step in a callback of an array": [
      /source\.ts:1: a step in a callback/,
      "export const f = (w: Int32Array) => [1].map((i) => Atomics.load(w, i));",
    ],
    "Atomics under another name": [
      /source\.ts:2: Atomics can only be called/,
      "\nconst { load } = Atomics; export const f = load;",
    ],
    "a wait that blocks": [
      /source\.ts:1: not a step that the explorer knows/,
      "export function f(w: Int32Array) { Atomics.wait(w, 0, 0); Atomics.load(w, 0); }",
    ],
    "an async function": [
      /source\.ts:1: a step in an async function/,
      "export async function f(w: Int32Array): Promise<number> { return Atomics.load(w, 0); }",
    ],
    "a generator that is no Wait": [
      /source\.ts:1: a step in a generator that does not say/,
      "export function* f(w: Int32Array) { return Atomics.load(w, 0); }",
    ],
    "a field's initializer": [
      /source\.ts:1: a step in a field's initializer/,
      "const w = new Int32Array(1); export class C { x = Atomics.load(w, 0); }",
    ],
    "a step behind ?.": [
      /source\.ts:2: a step behind/,
      "class C { f(w: Int32Array) { Atomics.load(w, 0); } }\n" +
      "export function g(c?: C) { c?.f(new Int32Array(1)); }",
    ],
  };
  for (const [what, [why, text]] of Object.entries(refused)) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(stepwise(text), why);
    });
  }

  it("refuses at run time a step in a callback that it could not see", async () => {
    const text = `
      class C { f(w: Int32Array): number { return Atomics.load(w, 0); } }
      export const setup = (world: any): any => {
        const thread = () => { world.pause(); [new C()].forEach((c) => c.f(world.words)); };
        return { threads: [thread, thread] };
      };`;
    await assert.rejects(exploreText(text), /source\.ts:2: a step in a callback/);
  });

  it("makes steps of plain accesses where that is asked for, and no races of them", async () => {
    const text = `
      class Counter {
        readonly #words: Int32Array;
        constructor(words: Int32Array) { this.#words = words; }
        increment(): number {
          const words = this.#words;
          const own = [0, 1];
          if (words[99] !== undefined) throw new Error("beside its elements there is nothing");
          words[1] = words[0]! + own[1]!;
          return words[0] = words[1]!;
        }
      }
      export const setup = (world: any): any => {
        const thread = () => { world.pause(); new Counter(world.words).increment(); };
        const end = () => world.check(world.words[0] === 2, "an increment is lost");
        return { threads: [thread, thread], end };
      };`;
    assert.match(await exploreText(text) ?? "", /data race/);
    const { module, sites } = await stepwise(text, [SOURCE]);
    const { violation } = explore({ ...base, setup: module["setup"] as Case["setup"] }, sites);
    assert.match(violation ?? "", /an increment is lost/);
    await assert.rejects(stepwise(text, ["lib/x.ts"]), /Cannot make steps of lib\/x.ts/);
  });

  it("takes what is in loads.ts for steps, and wants an order for what follows or leads", async () => {
    const code = (body: string): string => `
      import { fence, loadFollowing, loadShared, storeLeading } from "../../lib/wait/loads.ts";
      export const setup = (world: any): any => {
        const { words } = world;
        const thread = () => { ${body} };
        return { threads: [thread, () => Atomics.store(words, 1, 5)] };
      };`;
    const right = [
      "Atomics.store(words, 2, 1); loadFollowing(words, 1); loadFollowing(words, 0);",
      "loadShared(words, 1); loadFollowing(words, 0); fence(); loadFollowing(words, 0);",
      "storeLeading(words, 2, 1); Atomics.add(words, 3, 1); loadFollowing(words, 1);",
    ];
    for (const body of right) assert.equal(await exploreText(code(body)), undefined, body);
    const steps = "world.check(loadShared(words, 1) === loadShared(words, 1), 'another step')";
    assert.match(await exploreText(code(steps)) ?? "", /another step/);
    const wrong: [RegExp, string][] = [
      [/a load of words\[1\] follows no atomic operation/, "loadFollowing(words, 1);"],
      [/follows no atomic operation/, "fence(); world.pause(); loadFollowing(words, 1);"],
      [/comes a second time/, "fence(); loadFollowing(words, 1); loadFollowing(words, 1);"],
      [/comes a second time/, "loadShared(words, 1); loadFollowing(words, 1);"],
      [/comes a second time/, "loadShared(words, 1);" + " loadFollowing(words, 0);".repeat(2)],
      [/a store that no atomic write follows/, "storeLeading(words, 2, 1);"],
      [/that no atomic write follows/, "storeLeading(words, 2, 1); loadShared(words, 1);"],
    ];
    for (const [why, body] of wrong) assert.match(await exploreText(code(body)) ?? "", why, body);
  });

  it("wants a patch's text exactly once", () => {
    const patch = { file: "x", find: "a", replace: "$&" };
    assert.equal(applyMutants("bab", [patch]), "b$&b");
    assert.throws(() => applyMutants("aba", [patch]), /occurs 2 times/);
    assert.throws(() => applyMutants("b", [patch]), /occurs 0 times/);
  });
});

/** A module whose thread has this code; `me` is its waiter and `i` its index. */
const threads = (code: string, count = 2): string => `
  export const setup = (world: any): any => {
    const { words } = world;
    const thread = (i: number) => {
      const me = world.waiter(i);
      return function* (): Wait<void> { world.pause(); ${code} };
    };
    return {
      threads: Array.from({ length: ${count} }, (_, i) => thread(i)),
      end: () => world.check(words[0] === ${count}, "all have counted"),
    };
  };`;

describe("the explorer", () => {
  it("finds a lost update, with one interruption", async () => {
    const code = "Atomics.store(words, 0, Atomics.load(words, 0) + 1);";
    assert.match(await exploreText(threads(code)) ?? "", /all have counted[^]*store words\[0\] 1/);
    assert.equal(await exploreText(threads(code), { preemptions: 0 }), undefined);
    assert.equal(await exploreText(threads("Atomics.add(words, 0, 1);")), undefined);
  });

  it("finds a data race that harms nobody yet", async () => {
    const code = "Atomics.add(words, 0, 1); words[1] = 3;";
    assert.match(await exploreText(threads(code)) ?? "", /data race: thread . writes words\[1\]/);
    const ordered =
      "if (Atomics.add(words, 0, 1) === 1) words[1] = words[1] + 1; else words[2] = 1;";
    assert.equal(await exploreText(threads(ordered)), undefined);
  });

  it("finds who is not woken, and keeps a permit that comes early", async () => {
    const sleep = "if (i === 0) { yield Infinity; Atomics.add(words, 0, 2); }";
    assert.match(await exploreText(threads(sleep)) ?? "", /nobody can go on: thread 0 sleeps/);
    assert.equal(await exploreText(threads(`${sleep} else me.unpark(1);`)), undefined);
  });

  it("lets time pass when nobody can do anything, and only then", async () => {
    const code =
      "if (i === 0) { const t = me.now(); yield 10; Atomics.add(words, 0, me.now() - t - 8); }";
    const slices = "the thread sleeps until it is time";
    assert.equal(await exploreText(threads(code), { slices }), undefined);
    assert.match(await exploreText(threads(code)) ?? "", /nobody can go on: thread 0 sleeps/);
    const early = "if (i === 0) { yield 10; Atomics.add(words, 0, 2 - Atomics.load(words, 1)); }" +
      " else { world.pause(); Atomics.store(words, 1, 0); if (me.now() !== 0) Atomics.store(words, 0, 9); }";
    assert.equal(await exploreText(threads(early), { slices }), undefined);
    const found = await exploreText(threads(early), { slices, spurious: 1 });
    assert.match(found ?? "", /all have counted/);
  });

  it("tells a wait to give up", async () => {
    const code =
      "if (i === 0) { if (yield Infinity) Atomics.store(words, 0, 7); else Atomics.store(words, 0, 2); }" +
      " else me.unpark(1);";
    assert.equal(await exploreText(threads(code)), undefined);
    assert.match(await exploreText(threads(code), { timeouts: 1 }) ?? "", /told to give up/);
  });

  it("waits with who spins, and finds a circle of them", async () => {
    const turn =
      "for (let r = 0; Atomics.load(words, 0) !== i; r++) me.spin(r); Atomics.add(words, 0, 1);";
    assert.equal(await exploreText(threads(turn, 3), { threads: 3 }), undefined);
    const wrong = turn.replace("!== i", "=== 0");
    assert.match(await exploreText(threads(wrong)) ?? "", /nobody can go on: thread 0 spins/);
  });

  it("finds what never ends", async () => {
    const code = "while (Atomics.load(words, 1) === 0) Atomics.add(words, 0, 1);";
    assert.match(await exploreText(threads(code)) ?? "", /no progress/);
  });

  it("kills, tells so, and wakes", async () => {
    const code = "if (i === 0) { world.pause(); Atomics.add(words, 0, 1); me.unpark(2); }" +
      " else { while (me.alive(1) && Atomics.load(words, 0) === 0) yield Infinity;" +
      " Atomics.store(words, 0, 2); }";
    assert.equal(await exploreText(threads(code), { kills: 1, victim: 0 }), undefined);
    const deaf = code.replace("me.alive(1) &&", "");
    assert.equal(await exploreText(threads(deaf)), undefined);
    const found = await exploreText(threads(deaf), { kills: 1, victim: 0 });
    assert.match(found ?? "", /nobody can go on[^]*thread 0 {2}is killed/);
  });

  it("gives the slot of who was killed to another thread, and not before", async () => {
    const code = "const at = 1 + me.slot; words[at] = words[at] + me.id;" +
      "world.check(i < 2 || (!me.alive(1) && !world.killed(2)), 'the other lives');" +
      "if (i === 0) { world.pause(); words[at] = 5; }";
    const module = threads(code, 3).replace(/end: .*/, "end: () => {}");
    const slots = { threads: 3, slots: [0, 1, 0] };
    assert.equal(await exploreText(module, { ...slots, kills: 1, victim: 0 }), undefined);
    const early = module.replace(
      "if (i === 0)",
      "if (i === 2) world.check(words[1] !== 4, 'four');",
    );
    assert.equal(await exploreText(early, slots), undefined);
    const found = await exploreText(early, { ...slots, kills: 1, victim: 0 });
    assert.match(found ?? "", /four[^]*thread 0 {2}is killed[^]*thread 2/);
    const asleep = threads("if (i === 2) yield Infinity;", 3).replace(/end: .*/, "end: () => {}");
    assert.equal(await exploreText(asleep, slots), undefined);
    assert.match(
      await exploreText(asleep, { ...slots, kills: 1, victim: 0 }) ?? "",
      /nobody can go on: thread 2 sleeps/,
    );
  });

  it("takes who has ended for gone only where that is said", async () => {
    const code = "if (i === 1) world.check(me.alive(1), 'the other is gone');" +
      " Atomics.add(words, 0, 1);";
    assert.equal(await exploreText(threads(code)), undefined);
    assert.match(await exploreText(threads(code), { gone: true }) ?? "", /the other is gone/);
  });

  it("tries every number", async () => {
    const code =
      "Atomics.add(words, 0, 1); if (i === 0 && world.choose(5) === 4) Atomics.store(words, 0, 9);";
    assert.match(await exploreText(threads(code)) ?? "", /chooses 4 of 5/);
  });

  it("knows a doorway's order even before a thread's first step", async () => {
    const code = "world.lock('wanted', [1]); Atomics.add(words, 1, 1); world.pause();" +
      " Atomics.add(words, 0, 1); world.lock('taken'); world.lock('free');";
    assert.match(await exploreText(threads(code)) ?? "", /came before/);
  });

  it("cuts no state off", async () => {
    for (const name of ["futex_mutex", "ticket_lock"]) {
      const { module, sites } = await loadStepwise(`tests/explorer/specs/example_${name}.ts`);
      for (const subject of (module["specs"] as Spec[])[0]?.cases ?? []) {
        const limits = { preemptions: Math.min(2, subject.preemptions) };
        const cut = explore(subject, sites, limits);
        const uncut = explore(subject, sites, { ...limits, uncut: true });
        assert.equal(cut.states, uncut.states);
        assert.ok(cut.schedules < uncut.schedules);
        assert.deepEqual([cut.violation, uncut.violation], [undefined, undefined]);
      }
    }
  });

  it("recalls a run that went wrong, and only where the program still has it", async () => {
    const load = async (code: string): Promise<[Case, Stepwise["sites"]]> => {
      const { module, sites } = await stepwise(threads(code));
      return [{ ...base, setup: module["setup"] as Case["setup"] }, sites];
    };
    const lost = await load("Atomics.store(words, 0, Atomics.load(words, 0) + 1);");
    const { choices = "", violation } = explore(...lost);
    assert.notEqual(choices, "");
    assert.match(recall(...lost, choices) ?? "", /all have counted/);
    assert.match(violation ?? "", /all have counted/);
    assert.equal(recall(...lost, ""), undefined, "the first run goes well");
    assert.equal(recall(...await load("Atomics.add(words, 0, 1);"), choices), undefined);
    // No thread 5, so what was recorded was another program.
    assert.equal(recall(...lost, "0:20"), undefined);
  });

  it("walks the same way again", async () => {
    const { module, sites } = await loadStepwise("tests/explorer/specs/example_futex_mutex.ts");
    const subject = (module["specs"] as Spec[])[0]?.cases[1] as Case;
    const stepsOf = (seed: number): number => walk(subject, sites, seed).steps;
    assert.equal(stepsOf(5), stepsOf(5));
    assert.notEqual(stepsOf(5), stepsOf(6));
  });
});

/** Walks through the case that a text exports, with as many threads as can be. */
async function walkText(
  text: string,
  { seed = 1, traffic }: { readonly seed?: number; readonly traffic?: Traffic } = {},
): Promise<{ readonly violation: string | undefined; readonly order: readonly number[] }> {
  const { module, sites } = await stepwise(text);
  const setup = module["setup"] as Case["setup"];
  const order: number[] = [];
  const observer: Observer = {
    access: (thread) => order.push(thread),
    other: (thread) => order.push(thread),
    operation: () => {},
    lock: () => {},
  };
  const extra = traffic === undefined ? {} : { traffic };
  const { violation } = walk({ ...base, ...extra, threads: 32, setup }, sites, seed, observer);
  return { violation, order };
}

describe("a walk of 32 threads", () => {
  const count = "Atomics.add(words, 0, 1);";

  it("goes the same way again, and comes by everybody", async () => {
    const text = threads(`world.pause(); ${count}`, 32);
    const { order, violation } = await walkText(text, { seed: 5 });
    assert.equal(violation, undefined);
    assert.deepEqual((await walkText(text, { seed: 5 })).order, order);
    assert.notDeepEqual((await walkText(text, { seed: 6 })).order, order);
    const steps = Array.from({ length: 32 }, (_, i) => order.filter((other) => other === i).length);
    assert.deepEqual(steps, new Array(32).fill(3));
  });

  // The last two are where a sign would be lost.
  for (const first of [0, 30]) {
    const take = (isTaken: string): string =>
      threads(
        `if (i >= ${first}) {
          world.lock("wanted");
          for (let round = 0; ${isTaken}; round++) me.spin(round);
          world.lock("taken"); world.pause(); world.lock("free");
          Atomics.store(words, 1, 0);
        } ${count}`,
        32,
      );

    it(`finds that a lock is taken twice by threads from ${first} on`, async () => {
      const right = take("Atomics.compareExchange(words, 1, 0, 1) !== 0");
      const wrong = take("Atomics.load(words, 1) !== 0 || Atomics.store(words, 1, 1) !== 1");
      const found: string[] = [];
      for (let seed = 1; seed <= 20; seed++) {
        assert.equal((await walkText(right, { seed })).violation, undefined);
        const { violation } = await walkText(wrong, { seed });
        if (violation !== undefined) found.push(violation);
      }
      assert.match(found[0] ?? "", /^thread \d+ has the lock, too \(in the random walk with seed/);
      assert.ok(first === 0 || found.every((text) => /^thread 3[01] has/.test(text)), `${found}`);
    });
  }

  it("finds that nobody wakes the last one", async () => {
    const code = `if (i === 31) yield Infinity; ${count}`;
    const { violation } = await walkText(threads(code, 32));
    assert.match(violation ?? "", /nobody can go on: thread 31 sleeps/);
  });

  it("lets time pass with the steps of traffic", async () => {
    const code = `if (i === 0) {
        yield 1;
        world.check(me.now() >= 1, "it has slept for so long");
        Atomics.store(words, 1, 1);
      } else while (Atomics.load(words, 1) === 0) world.pause();
      ${count}`;
    const traffic: Traffic = { across: [0, 1], bypass: 0, stepMs: 0.1 };
    const { violation, order } = await walkText(threads(code, 32), { traffic });
    assert.equal(violation, undefined);
    // 31 threads do ten steps each in a millisecond.
    assert.ok(order.length > 310 && order.length < 620, `${order.length} steps`);
  });

  it("is as far as so many threads get: they are not explored, and no more walk", () => {
    const setup = (): Program => ({ threads: [] });
    assert.throws(() => explore({ ...base, threads: 8, setup }, []), /8 threads are too many/);
    assert.throws(() => walk({ ...base, threads: 33, setup }, [], 1), /at most 32 threads/);
  });
});

describe("the lines", () => {
  it("move as MESI has it", () => {
    const lines = new Lines({ lineBytes: 64, domains: [0, 0, 1] });
    const [load, store] = [0, 1];
    lines.operation(0, "op");
    lines.operation(1, "op");
    lines.operation(2, "op");
    lines.access(0, store, 0, true, false); // from memory
    lines.access(0, store, 15, true, false); // had it
    lines.access(1, load, 1, false, false); // from the same domain
    lines.access(2, load, 1, false, false); // from another
    lines.access(1, load, 2, false, false); // had it
    lines.access(1, store, 2, true, false); // two others lose it, one of them far
    lines.access(0, load, 16, false, false); // another line
    const { hits, fills, local, remote, invalidations } = lines.operations.get("op") ?? {};
    assert.deepEqual({ hits, fills, local, remote, invalidations }, {
      hits: 2,
      fills: 2,
      local: 1,
      remote: 2,
      invalidations: 2,
    });
  });

  it("tell hand-offs, bypass and fairness", () => {
    const lines = new Lines({ domains: [0, 0, 1] });
    lines.lock(2, "wanted");
    for (const thread of [0, 1, 0, 0, 2, 1]) lines.lock(thread, "taken");
    const { taken, local, remote, bypass } = lines.lockStatistics;
    assert.deepEqual({ taken, local, remote, bypass }, {
      taken: 6,
      local: 2,
      remote: 2,
      bypass: 4,
    });
    assert.equal(shareAcross(lines.lockStatistics), 0.5);
    assert.equal(jain([1, 1, 1]), 1);
    assert.equal(jain([3, 0, 0]), 1 / 3);
  });

  it("count as overtaken who came before", () => {
    const lines = new Lines({ domains: [0, 0, 0] });
    for (const thread of [0, 1, 2]) lines.lock(thread, "wanted");
    for (const thread of [0, 1, 2]) lines.lock(thread, "taken");
    assert.equal(lines.lockStatistics.bypass, 0);
    for (const thread of [2, 1, 0]) lines.lock(thread, "wanted");
    for (const thread of [0, 1, 2]) lines.lock(thread, "taken");
    assert.equal(lines.lockStatistics.bypass, 2);
  });

  it("tell what traffic has to show", () => {
    const found = { taken: 101, local: 75, remote: 25, bypass: 7, fairness: 1 };
    const bounds = { stepMs: 1, across: [0.2, 0.3], bypass: 7 } as const;
    assert.equal(missed(found, bounds), undefined);
    assert.match(missed(found, { ...bounds, across: [0, 0.2] }) ?? "", /25.0 % of .* 0.0 % to 20/);
    assert.match(missed(found, { ...bounds, across: [0.3, 1] }) ?? "", /25.0 % of .* 30.0 % to/);
    assert.match(missed(found, { ...bounds, bypass: 6 }) ?? "", /overtaken 7 times, more than 6/);
  });
});

describe("the command", () => {
  it("refuses a name that no spec has, also beside one that some have", () => {
    const run = fileURLToPath(new URL("./run.ts", import.meta.url));
    const arguments_ = [run, "--spec", "Mutex", "--spec", "Mutexx"];
    const { status, stdout, stderr } = spawnSync(process.execPath, arguments_, {
      encoding: "utf8",
    });
    assert.deepEqual([status, stdout], [1, ""]);
    assert.match(stderr, /no spec has "Mutexx" in its name; there are .*Mutex/);
  });
});

export type { World };
