import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { launch, NumaError, Pin, pin, Policy, Thread, topology, unpinned } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { random } from "../support/fuzz.ts";
import { cpusNow } from "../support/pins.ts";

// Every public member, found by looking at the classes, with what callers get wrong. All may throw NumaErrors, or what a
// getter of theirs threw, and nothing else; afterwards the thread is where it was.

const module = sibling(import.meta.url, "../workers/pins");
const PROGRAMS = 60;
const CALLS = 12;

class Mine extends Error {}

const NUMBERS = [0, 1, 5, -1, -0, 0.5, NaN, Infinity, -21, 19, 20, 2 ** 31, 2 ** 53, 7n];
const TEXTS = ["", "require", "prefer", "off", "bind", "0", "node:0", "x\0y", "\ud800", "message"];
const KEYS = ["policy", "place", "bind", "nice", "name", "args", "transfer", "cpus", "memory"];
const STRENGTHS = ["require", "prefer", "off"];

/** One program's choices. */
class Choices {
  readonly #next: () => number;

  constructor(seed: number) {
    this.#next = random(seed);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#next() * items.length)] as Item;
  }

  chance(share: number): boolean {
    return this.#next() < share;
  }

  policy(): unknown {
    const made = [Policy.unbound, Policy.compact, Policy.scatter, () => Policy.bindNode(0)];
    const wrong = [null, undefined, 5, "x", {}, Object.create(Policy.prototype), () => 1];
    return this.chance(0.6) ? this.pick(made)() : this.pick(wrong);
  }

  strengths(): unknown {
    const one = (): unknown => this.chance(0.7) ? this.pick(STRENGTHS) : this.value(3);
    return this.chance(0.8) ? { cpus: one(), memory: one() } : this.value();
  }

  value(depth = 0): unknown {
    const kinds: readonly (() => unknown)[] = [
      () => this.pick(NUMBERS),
      () => this.pick(TEXTS),
      () => this.pick([null, undefined, true, Symbol("fuzz"), () => 1]),
      () => this.policy(),
      () => this.strengths(),
      () => depth > 2 ? [] : [this.value(depth + 1)],
      () => depth > 2 ? {} : this.options(depth + 1),
    ];
    return this.pick(depth > 2 ? kinds.slice(0, 3) : kinds)();
  }

  options(depth = 0): unknown {
    const keys = Array.from({ length: this.pick([1, 2, 4]) }, () => this.pick(KEYS));
    const options: Record<string, unknown> = {};
    for (const key of keys) {
      const value = key === "bind" ? this.strengths() : this.value(depth + 1);
      Object.defineProperty(options, key, {
        enumerable: true,
        configurable: true,
        get: () => {
          if (this.chance(0.03)) throw new Mine();
          return value;
        },
      });
    }
    return options;
  }
}

function judge(error: unknown): void {
  if (error instanceof NumaError || error instanceof Mine) return;
  throw error;
}

function attempt(call: () => unknown): unknown {
  try {
    const result = call();
    if (result instanceof Promise) result.catch(judge);
    return result;
  } catch (error) {
    judge(error);
    return undefined;
  }
}

/** The members of a class, but those that end a thread or wait for it. */
function membersOf(type: { readonly prototype: object }): string[] {
  return Object.getOwnPropertyNames(type.prototype).filter((name) =>
    !["constructor", "join", "terminate"].includes(name)
  );
}

function callMember(object: object, name: string, choices: Choices): void {
  const args = Array.from({ length: choices.pick([0, 1, 2]) }, () => choices.value());
  attempt(() => {
    const member = (object as Record<string, unknown>)[name];
    return typeof member === "function" ? member.apply(object, args) : member;
  });
}

describe("what is called with wrong arguments", () => {
  const home = cpusNow();

  it("pin() and pins: a NumaError, and the thread goes back to where it was", () => {
    const members = membersOf(Pin);
    assert.ok(members.includes("release") && members.includes("sampleHeap"));
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const choices = new Choices(seed);
      const pins: Pin[] = [];
      for (let call = 0; call < CALLS; call++) {
        const options = choices.chance(0.3) ? {} : choices.options();
        const made = attempt(() => pin(choices.policy() as never, options as never));
        if (made instanceof Pin) pins.push(made);
        if (pins.length > 0) callMember(choices.pick(pins), choices.pick(members), choices);
        attempt(() => unpinned(cpusNow));
      }
      while (pins.length > 0) {
        pins.splice(Math.floor(pins.length * (seed % 10) / 10), 1)[0]?.release();
      }
      assert.equal(cpusNow(), home, `program ${seed}`);
    }
    assert.equal(topology({ refresh: true }).allowedCpus.toString(), home);
  });

  it("launch() and threads: a NumaError, or a thread that ends", async () => {
    const members = membersOf(Thread);
    for (const name of ["binding", "cpuTimeMs", "nice", "setNice", "sampleHeap"]) {
      assert.ok(members.includes(name), name);
    }
    const ends: Promise<unknown>[] = [];
    for (let seed = 1; seed <= PROGRAMS * 2; seed++) {
      const choices = new Choices(seed);
      const made = attempt(() => launch(module, choices.options() as never));
      // They have no task to do that they know.
      if (made instanceof Thread) ends.push(made.join().catch(() => {}));
    }
    const thread = launch(module, { args: { task: "work" } });
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const choices = new Choices(seed);
      for (const name of members) callMember(thread, name, choices);
      if (seed % 20 === 0) await thread.sampleHeap().catch(judge);
    }
    assert.equal(await thread.terminate(), true);
    await Promise.all(ends);
    assert.equal(cpusNow(), home);
  });
});
