import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FULL, NOT_ALLOCATED, ObjectHeap } from "../../lib/memory/objects/object_heap.ts";
import {
  ALLOCATED,
  objectLayout,
  pendingAt,
  remoteAt,
} from "../../lib/memory/objects/object_layout.ts";
import { BATCH } from "../../lib/memory/objects/object_outbox.ts";
import { numbers } from "../support/churn.ts";

const THREADS = 6;

/** A heap in plain memory, and threads that are no threads: each is an ObjectHeap with an identity of its own. */
class World {
  readonly words: Int32Array;
  readonly dead: Set<number> = new Set();
  readonly objects: number;
  readonly options: Omit<ConstructorParameters<typeof ObjectHeap>[1], "self">;
  #identity = 0;

  constructor(objects: number, slots: number[] = [16], units: number[] = [0], room = 0) {
    const layout = objectLayout({ records: THREADS, chunks: Math.ceil(objects / 16), shift: 4 });
    this.objects = objects;
    this.words = new Int32Array(layout.words);
    const alive = (identity: number): boolean => !this.dead.has(identity);
    this.options = { layout, objects, slots, units, room, alive };
  }

  thread(words: Int32Array = this.words): { heap: ObjectHeap; identity: number } {
    const identity = 2 ** 40 + ++this.#identity;
    return { heap: new ObjectHeap(words, { ...this.options, self: identity }), identity };
  }

  /** All that a thread can allocate of a class. */
  drain(heap: ObjectHeap, kind = 0): number[] {
    const ids: number[] = [];
    for (let id = heap.take(kind); id >= 0; id = heap.take(kind)) {
      ids.push(id);
      assert.ok(ids.length <= this.objects, "gives out more than there are");
    }
    assert.equal(new Set(ids).size, ids.length, "gives one out twice");
    return ids;
  }
}

describe("ObjectHeap", () => {
  it("gives each object out once, the lowest first, and then no more", () => {
    const world = new World(100);
    const { heap } = world.thread();
    assert.deepEqual(world.drain(heap), Array.from({ length: 100 }, (_, id) => id));
    assert.equal(heap.take(0), FULL);
    assert.equal(heap.give(50), 0);
    assert.equal(heap.take(0), 50);
  });

  it("brings objects of others home in batches, and the rest with a flush", () => {
    const world = new World(64);
    const [mine, other] = [world.thread().heap, world.thread().heap];
    const ids = Array.from({ length: 64 }, () => mine.take(0));
    const arrived = (): boolean => world.words[remoteAt(0)] !== 0;
    for (const id of ids.slice(0, BATCH)) {
      assert.ok(!arrived());
      assert.equal(other.give(id), 0);
    }
    assert.ok(arrived());
    assert.equal(new Set(ids.slice(0, BATCH).map(() => mine.take(0))).size, BATCH);
    assert.equal(other.give(ids[0] as number), 0);
    assert.ok(!arrived(), "one alone waits");
    other.flush();
    assert.equal(mine.take(0), ids[0]);
    assert.equal(mine.take(0), FULL);
    assert.equal(other.give(ids[0] as number), 0);
    assert.ok(arrived(), "nothing waits while somebody has run out");
  });

  it("shares chunks with whoever has run out", () => {
    const world = new World(256);
    const [rich, poor] = [world.thread().heap, world.thread().heap];
    const ids = Array.from({ length: 256 }, () => rich.take(0));
    for (const id of ids.slice(1)) rich.give(id);
    assert.equal(poor.take(0), FULL, "nobody has noticed");
    rich.give(ids[0] as number);
    assert.equal(world.drain(poor).length, 128);
    assert.equal(world.drain(rich).length, 128);
  });

  it("knows whatever is not allocated, wherever it is", () => {
    const world = new World(64);
    const [mine, other] = [world.thread().heap, world.thread().heap];
    const id = mine.take(0);
    for (const heap of [mine, other]) {
      for (const wrong of [1, 63, 64, 1e6, 2 ** 30, -1, -20, -(2 ** 31)]) {
        assert.equal(heap.give(wrong), NOT_ALLOCATED, `${wrong}`);
      }
    }
    assert.equal(other.give(id), 0);
    assert.equal(other.give(id), NOT_ALLOCATED, "on its way, freed by the one who did");
    assert.equal(mine.give(id), NOT_ALLOCATED, "on its way, freed by its owner");
    other.flush();
    assert.equal(mine.give(id), NOT_ALLOCATED, "arrived");
    assert.equal(mine.take(0), 1);
  });

  it("agrees with a set, whoever allocates, frees, leaves, dies", () => {
    const operation = fc.record({
      what: fc.constantFrom("take", "take", "take", "give", "give", "flush", "leave", "die"),
      thread: fc.nat(THREADS - 1),
      pick: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120 }), fc.array(operation, { maxLength: 300 }), (
        objects,
        operations,
      ) => {
        const world = new World(objects);
        const threads = Array.from({ length: THREADS }, () => world.thread());
        const allocated = new Set<number>();
        for (const { what, thread, pick } of operations) {
          const { heap, identity } = threads[thread] as { heap: ObjectHeap; identity: number };
          if (what === "take") {
            const id = heap.take(0);
            if (id === FULL) continue;
            assert.ok(id >= 0 && id < objects && !allocated.has(id), `${id} given out`);
            allocated.add(id);
          } else if (what === "give") {
            const id = [...allocated][pick % Math.max(1, allocated.size)] ?? pick;
            assert.equal(heap.give(id), allocated.delete(id) ? 0 : NOT_ALLOCATED);
            assert.equal(heap.give(id), NOT_ALLOCATED);
          } else if (what === "flush") heap.flush();
          else if (what === "leave") heap.leave();
          else {
            world.dead.add(identity);
            threads[thread] = world.thread();
          }
        }
        assert.equal(threads[0]?.heap.census().allocated[0], allocated.size);
        // Nothing is lost: one thread can have all of it when the others are gone, however they went.
        for (const { identity } of threads) world.dead.add(identity);
        const { heap } = world.thread();
        assert.equal(world.drain(heap).length, objects - allocated.size);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses one thread more than there are records, and takes a dead one's", () => {
    const world = new World(16 * (THREADS + 1));
    const threads = Array.from({ length: THREADS }, () => world.thread());
    for (const { heap } of threads) assert.ok(heap.take(0) >= 0);
    const late = world.thread().heap;
    assert.equal(late.take(0), -2);
    assert.equal(late.give(0), -2);
    world.dead.add((threads[0] as { identity: number }).identity);
    assert.ok(late.take(0) >= 0);
    assert.equal(late.give(0), 0);
  });

  it("carves classes of other sizes from one room", () => {
    const world = new World(16 * 40, [16, 4], [16, 40], 16 * 10 + 40 * 3);
    const { heap } = world.thread();
    const [small, large] = [heap.take(0), heap.take(1)];
    assert.deepEqual([heap.classOf(small), heap.classOf(large)], [0, 1]);
    assert.deepEqual([heap.baseOf(small), heap.baseOf(large)], [0, 16]);
    assert.equal(world.drain(heap, 1).length, 4 * 6 - 1, "(280 - 16) / 40 chunks of 4");
    assert.equal(world.drain(heap, 0).length, 16 * 2 - 1, "and what is left");
    assert.deepEqual(heap.census(), { allocated: [32, 24], chunks: [2, 6] });
  });

  it("goes on after a list was damaged", () => {
    const world = new World(64);
    const { heap } = world.thread();
    const ids = world.drain(heap);
    for (const id of ids) heap.give(id);
    const { states } = world.options.layout;
    // A link to itself, one to nowhere, one to an allocated object.
    const first = heap.take(0);
    for (const link of [first + 1, 2 ** 31 - 1, 1e6, 64]) {
      const next = heap.take(0);
      world.words[states + next] = ALLOCATED;
      heap.give(next);
      world.words[states + next] = link;
      assert.equal(heap.take(0), next);
      const after = heap.take(0);
      assert.ok(after >= 0 && after !== next && after !== first);
      heap.give(after);
      heap.give(next);
    }
    assert.equal(world.drain(heap).length, 63);
  });

  it("never hangs or gives out what is out of range, whatever is scribbled over its words", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = numbers(seed);
      const world = new World(64);
      const threads = Array.from({ length: 3 }, () => world.thread().heap);
      for (let step = 0; step < 200; step++) {
        const heap = threads[random(3)] as ObjectHeap;
        const id = random(4) === 0 ? FULL : heap.take(0);
        assert.ok(id >= -2 && id < 64, `${id}`);
        heap.give(random(80) - 8);
        if (random(50) === 0) heap.leave();
        const at = random(world.words.length);
        const values = [0, -1, 1, random(80), ~random(80), ALLOCATED, 2 ** 31 - 1, random(2 ** 31)];
        if (random(3) === 0) world.words[at] = values[random(values.length)] as number;
      }
    }
  });
});

/** Thrown where a thread is killed. */
class Killed extends Error {}

type Outside = (deed: () => void) => void;

/**
 * Runs a body on words that allow so many stores and atomics and then kill. What it does `outside` is another thread's.
 * Returns how many there were.
 */
function withFuse(
  words: Int32Array,
  fuse: number,
  body: (words: Int32Array, outside: Outside) => void,
): number {
  let steps = 0;
  let inside = true;
  const step = (): void => {
    if (inside && steps++ === fuse) throw new Killed();
  };
  const outside: Outside = (deed) => {
    inside = false;
    deed();
    inside = true;
  };
  const proxy = new Proxy(words, {
    get: (target, key) => Reflect.get(target, key, target),
    set: (target, key, value) => {
      step();
      return Reflect.set(target, key, value, target);
    },
  });
  const names = ["load", "store", "exchange", "compareExchange"] as const;
  const real = Object.fromEntries(names.map((name) => [name, Atomics[name]]));
  const atomics = Atomics as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of names) {
    atomics[name] = (array, ...args) => {
      step();
      const target = array === proxy ? words : array;
      return (real[name] as (...args: unknown[]) => unknown)(target, ...args);
    };
  }
  try {
    body(proxy, outside);
  } catch (error) {
    if (!(error instanceof Killed)) throw error;
  } finally {
    Object.assign(Atomics, real);
  }
  return steps;
}

describe("ObjectHeap, killed between any two steps", () => {
  /** What the victim does, with everything in it: taking, freeing, sending, receiving, adopting. */
  function life(seed: number, fuse: number): { steps: number; lost: number } {
    const random = numbers(seed);
    const world = new World(256);
    const [other, gone] = [world.thread(), world.thread()];
    const theirs = Array.from({ length: 60 }, () => other.heap.take(0));
    const orphans = Array.from({ length: 20 }, () => gone.heap.take(0));
    for (const id of theirs.slice(0, 10)) gone.heap.give(id);
    world.dead.add(gone.identity);
    const held = new Set<number>([...theirs.slice(10), ...orphans]);
    /** What the victim was told to free and may have freed or not. */
    let inHand = -1;
    const identity = 2 ** 41;
    const steps = withFuse(world.words, fuse, (words, outside) => {
      const heap = new ObjectHeap(words, { ...world.options, self: identity });
      for (let round = 0; round < 300; round++) {
        const pick = random(5);
        if (pick < 2 && held.size > 0) {
          inHand = [...held][random(held.size)] as number;
          held.delete(inHand);
          assert.equal(heap.give(inHand), 0);
          inHand = -1;
        } else if (pick === 2 && held.size > 0) {
          const id = [...held][random(held.size)] as number;
          held.delete(id);
          outside(() => assert.equal(other.heap.give(id), 0));
        } else {
          const id = heap.take(0);
          if (id >= 0) {
            assert.ok(!held.has(id), `${id} given out twice`);
            held.add(id);
          }
        }
        if (random(40) === 0) outside(() => other.heap.flush());
        if (random(60) === 0) heap.flush();
        if (random(100) === 0) heap.leave();
      }
    });
    world.dead.add(identity);
    other.heap.flush();
    other.heap.leave();
    const survivor = world.thread().heap;
    const again = world.drain(survivor);
    for (const id of again) assert.ok(!held.has(id), `${id} is in two hands`);
    if (inHand >= 0 && !again.includes(inHand)) survivor.give(inHand);
    for (const id of held) assert.equal(survivor.give(id), 0);
    const back = new Set([...again, ...held, ...world.drain(survivor)]);
    return { steps, lost: 256 - back.size };
  }

  it("loses at most the batch it was sending and what it had in hand, and gives nothing out twice", () => {
    for (let seed = 0; seed < 6; seed++) {
      const { steps, lost } = life(seed, Infinity);
      assert.equal(lost, 0);
      assert.ok(steps > 400);
      for (let fuse = 0; fuse < steps; fuse += seed === 0 ? 1 : 1 + seed) {
        const after = life(seed, fuse);
        assert.ok(after.lost <= BATCH + 1, `seed ${seed}, killed at ${fuse}: lost ${after.lost}`);
      }
    }
  });

  it("loses nothing of a list that it was taking", () => {
    for (const taken of [false, true]) {
      const world = new World(64);
      const [owner, other] = [world.thread(), world.thread()];
      for (const id of world.drain(owner.heap)) other.heap.give(id);
      const { words } = world;
      words[pendingAt(0)] = ~(words[remoteAt(0)] as number);
      if (taken) words[remoteAt(0)] = 0;
      world.dead.add(owner.identity);
      assert.equal(world.drain(world.thread().heap).length, 64, `taken: ${taken}`);
    }
  });
});
