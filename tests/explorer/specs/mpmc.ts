import { BUSY } from "../../../lib/structs/outcomes.ts";
import { ENDED, MpmcCore } from "../../../lib/structs/rings/mpmc_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import {
  CAPACITY,
  describeWord,
  history,
  inspector,
  napping,
  numberOf,
} from "../mpmc_histories.ts";
import { MPMC_MUTANTS } from "../mpmc_mutants.ts";
import type { Case, Program, Spec, Thread, World } from "../spec.ts";

/** Why those that do not await take time. */
const slices = "who naps is never woken";
/** No more will come. */
const OVER = -3;

/** Does something, or sleeps until it can; 0 when it gave up. */
function* until(
  me: Waiter,
  events: MpmcCore["notEmpty"],
  step: () => number,
  announce: () => void,
): Wait<number> {
  for (;;) {
    const first = yield* napping(step);
    if (first !== 0) return first;
    events.prepare(me);
    announce();
    const last = yield* napping(step);
    if (last !== 0) {
      events.cancel(me);
      return last;
    }
    if (!(yield* events.wait(me))) return yield* napping(step);
  }
}

interface Traffic extends Omit<Case, "words" | "setup" | "threads"> {
  /** How many records each producer puts in, the first threads. */
  readonly producers: readonly number[];
  /** How many each of them puts in at a time: that many together, or none. */
  readonly puts: readonly number[];
  /** How many each consumer takes out at a time, the threads after them. */
  readonly takes: readonly number[];
  readonly size?: number;
  readonly start?: number;
  /** Whether the last producer waits until all is taken out, before it closes the ring: that would wake everybody. */
  readonly drained?: boolean;
  /** The only consumer takes so many at a time, all or none, and spins until they are there. */
  readonly plan?: readonly number[];
}

/**
 * Producers put numbers in, and the last one closes the ring; consumers take all there is, until it is closed, or there is
 * no producer left that lives.
 */
function traffic(options: Traffic): Case {
  const { producers, puts, takes, size = 1, start = 0, drained = false, plan, ...rest } = options;
  const threads = producers.length + takes.length;
  const shape = { threads, domains: 1 };
  const words = MpmcCore.words(shape, CAPACITY, size);
  /** Bits of the producers that have yet to end. */
  const left = words;
  return {
    ...rest,
    threads,
    words: words + LINE_WORDS,
    describe: describeWord(size),
    setup(world: World): Program {
      for (const at of [1, 2, LINE_WORDS + 1, LINE_WORDS + 2]) world.words[at] = start;
      world.words[left] = (1 << producers.length) - 1;
      const ring = (): MpmcCore =>
        new MpmcCore(world.words.subarray(0, words), shape, CAPACITY, size);
      /** What each consumer got, and whether the ring was closed then. */
      const taken: number[][] = takes.map(() => []);
      /** Whether all of these have died. */
      const areDead = (me: Waiter, bits: number): boolean => {
        for (let thread = 0; thread < producers.length; thread++) {
          if ((bits & (1 << thread)) !== 0 && me.alive(thread + 1)) return false;
        }
        return true;
      };
      const producer = (index: number): Thread => {
        const me = world.waiter(index);
        const [last, batch] = [producers[index] as number, puts[index] as number];
        return function* (): Wait<void> {
          const core = ring();
          const source = new Int32Array(batch * size);
          for (let next = 1; next <= last;) {
            const count = Math.min(batch, last + 1 - next);
            for (let word = 0; word < count * size; word++) {
              source[word] = numberOf(index, next + Math.floor(word / size));
            }
            world.operation("put");
            const done = yield* until(
              me,
              core.notFull,
              () => core.push(me, source, count, count),
              () => core.announce(me, count),
            );
            world.done();
            if (done === 0) {
              world.check((options.timeouts ?? 0) > 0, "gave up, but nobody said so");
              break;
            }
            world.check(done === count, `${done} of ${count} records`);
            next += count;
          }
          const bit = 1 << index;
          if (areDead(me, Atomics.and(world.words, left, ~bit) & ~bit)) {
            for (let round = 0; drained && core.length() > 0; round++) me.spin(round);
            yield* napping(() => core.close(me) ? 1 : BUSY);
          }
        };
      };
      /** Keeps what a consumer got. */
      const keep = (list: number[], target: Int32Array, got: number): void => {
        world.check(got <= CAPACITY, "no more than there is room for");
        for (let record = 0; record < got; record++) {
          const number = target[record * size] as number;
          for (let word = 1; word < size; word++) {
            world.check(target[record * size + word] === number, "half a record");
          }
          list.push(number);
        }
      };
      const planned = (): void => {
        const me = world.waiter(producers.length);
        const core = ring();
        for (const count of plan ?? []) {
          const target = new Int32Array(count * size);
          let got = 0;
          for (let round = 0; got === 0; round++) {
            got = core.pop(me, target, count, count);
            if (got === 0) me.spin(round);
          }
          keep(taken[0] as number[], target, got);
        }
      };
      const consumer = (index: number): Thread => {
        const me = world.waiter(producers.length + index);
        const room = takes[index] as number;
        const mine = taken[index] as number[];
        return function* (): Wait<void> {
          const core = ring();
          const target = new Int32Array(room * size);
          for (;;) {
            world.operation("take");
            const got = yield* until(
              me,
              core.notEmpty,
              () => {
                const found = core.pop(me, target, room, 1);
                if (found !== 0) return found;
                const isOver = core.closed() || areDead(me, Atomics.load(world.words, left));
                if (!isOver) return 0;
                const more = core.pop(me, target, room, 1);
                return more === 0 ? OVER : more;
              },
              () => {},
            );
            world.done();
            if (got === OVER) return;
            if (got === 0) {
              world.check((options.timeouts ?? 0) > 0, "gave up, but nobody said so");
              return;
            }
            keep(mine, target, got);
            const length = core.length();
            world.check(length >= 0 && length <= CAPACITY, `${length} records`);
          }
        };
      };
      return {
        threads: [
          ...producers.map((_, index) => producer(index)),
          ...takes.map((_, index) => plan === undefined ? consumer(index) : planned),
        ],
        end: () => judge(world, options, taken, ring()),
      };
    },
  };
}

/** All that was put in was taken out once and in order, but for what the dead may have taken along. */
function judge(
  world: World,
  { producers, puts, takes, size = 1, timeouts = 0 }: Traffic,
  taken: readonly (readonly number[])[],
  core: MpmcCore,
): void {
  const there: number[] = [];
  const target = new Int32Array(CAPACITY * size);
  const count = core.pop(inspector(world), target, CAPACITY, 1);
  for (let record = 0; record < count; record++) there.push(target[record * size] as number);
  world.check(timeouts > 0 || count === 0, `${there} are left`);
  let missing = 0;
  for (const [index, last] of producers.entries()) {
    const isHis = (number: number): boolean => Math.floor(number / 100) === index + 1;
    for (const list of [...taken, there]) {
      const his = list.filter(isHis);
      world.check(his.every((number, at) => at === 0 || number > (his[at - 1] ?? 0)), `${his}`);
    }
    const all = [...taken, there].flat().filter(isHis).sort((one, other) => one - other);
    world.check(new Set(all).size === all.length, `${all}: one of them twice`);
    if (!world.killed(index) && timeouts === 0) missing += last - all.length;
    else {
      // Whole batches, up to some.
      const end = (all.at(-1) ?? numberOf(index, 0)) - numberOf(index, 0);
      world.check(end === last || end % (puts[index] as number) === 0, `a part of a batch: ${all}`);
      missing += end - all.length;
    }
  }
  let lost = 0;
  for (const [index, room] of takes.entries()) {
    if (world.killed(producers.length + index)) lost += room;
  }
  world.check(missing <= lost, `${missing} are missing`);
}

/** One puts numbers in until it is told that the ring is closed, which another one does at any moment. */
function closing(): Case {
  const shape = { threads: 3, domains: 1 };
  const words = MpmcCore.words(shape, CAPACITY, 1);
  return {
    name: "closed while others sleep",
    threads: 3,
    words,
    preemptions: 1,
    describe: describeWord(1),
    setup(world: World): Program {
      let put = 0;
      const taken: number[] = [];
      const ring = (): MpmcCore => new MpmcCore(world.words, shape, CAPACITY, 1);
      const producer = function* (): Wait<void> {
        const me = world.waiter(0);
        const core = ring();
        for (let next = 1; next <= 4; next++) {
          const source = Int32Array.of(next);
          const step = (): number => core.push(me, source, 1, 1);
          const done = yield* until(me, core.notFull, step, () => core.announce(me, 1));
          if (done === ENDED) return;
          put = next;
        }
      };
      const consumer = function* (): Wait<void> {
        const me = world.waiter(1);
        const core = ring();
        const target = new Int32Array(1);
        const step = (): number => {
          const found = core.pop(me, target, 1, 1);
          if (found !== 0 || !core.closed()) return found;
          const more = core.pop(me, target, 1, 1);
          return more === 0 ? OVER : more;
        };
        for (;;) {
          const got = yield* until(me, core.notEmpty, step, () => {});
          if (got === OVER) return;
          taken.push(target[0] as number);
        }
      };
      const closer = function* (): Wait<void> {
        const me = world.waiter(2);
        const core = ring();
        yield* napping(() => core.close(me) ? 1 : BUSY);
      };
      return {
        threads: [producer, consumer, closer],
        end: () => world.check(taken.length === put, `${taken} of ${put} numbers`),
      };
    },
  };
}

/** A ring of two records, so that it is often full or empty, and its end often reached. */
export const specs: readonly Spec[] = [{
  name: "MpmcCore",
  cases: [
    history({
      name: "two producers",
      preemptions: 3,
      calls: [[["push", 1], ["push", 1]], [["push", 2]], [["pop", 2], ["pop", 1]]],
    }),
    history({
      name: "two consumers",
      preemptions: 3,
      filled: 1,
      calls: [[["push some", 2], ["push", 1]], [["pop", 1], ["pop", 1]], [["pop all", 2]]],
    }),
    history({
      name: "full, again",
      preemptions: 3,
      filled: 2,
      calls: [[["push", 1], ["push", 1]], [["push", 1]], [["pop", 1], ["pop", 1]]],
    }),
    history({
      name: "empty, again",
      preemptions: 3,
      calls: [[["pop", 1], ["pop", 1]], [["pop", 1]], [["push", 1], ["push", 1]]],
    }),
    history({
      name: "closed meanwhile",
      preemptions: 3,
      calls: [[["push", 1], ["push", 1]], [["push", 1], ["close"]], [["pop", 1]]],
    }),
    history({
      name: "closed while full",
      preemptions: 2,
      filled: 2,
      calls: [[["push", 1], ["push", 1]], [["close"]], [["pop", 1]]],
    }),
    history({
      name: "death inside the producers' side",
      preemptions: 2,
      kills: 1,
      victim: 0,
      spins: 0,
      slices,
      calls: [[["push", 2]], [["push", 1]], [["pop", 2], ["push", 1]]],
    }),
    history({
      name: "death inside the consumers' side",
      preemptions: 2,
      kills: 1,
      victim: 0,
      spins: 0,
      slices,
      filled: 2,
      calls: [[["pop", 1]], [["pop", 1]], [["push", 1], ["pop", 2]]],
    }),
    history({
      name: "death of an heir",
      preemptions: 1,
      kills: 2,
      victims: [0, 1],
      spins: 1,
      slices,
      calls: [[["push", 1]], [["push", 1]], [["push", 1], ["pop", 2]]],
    }),
    traffic({
      name: "sleeping consumer",
      preemptions: 1,
      fullPreemptions: 2,
      producers: [1, 2],
      puts: [1, 1],
      takes: [1],
    }),
    traffic({
      name: "sleeping consumers",
      preemptions: 1,
      fullPreemptions: 2,
      drained: true,
      producers: [3],
      puts: [2],
      takes: [1, 1],
    }),
    traffic({
      name: "sleeping producers",
      preemptions: 1,
      fullPreemptions: 2,
      producers: [3, 1],
      puts: [2, 1],
      takes: [1],
      size: 2,
      start: 2 ** 31 - 1,
    }),
    traffic({
      name: "room for two producers",
      preemptions: 1,
      fullPreemptions: 2,
      producers: [2, 2],
      puts: [1, 1],
      takes: [2],
      plan: [2, 2],
    }),
    traffic({
      name: "producers that need different room",
      preemptions: 1,
      fullPreemptions: 2,
      producers: [4, 2],
      puts: [2, 1],
      takes: [2],
      plan: [1, 1, 2, 2],
    }),
    traffic({
      name: "one is told in place of another",
      preemptions: 2,
      producers: [4, 1],
      puts: [2, 1],
      takes: [2],
      plan: [1, 2, 2],
    }),
    traffic({
      name: "giving up",
      preemptions: 1,
      fullPreemptions: 2,
      timeouts: 1,
      producers: [2],
      puts: [1],
      takes: [1, 1],
    }),
    traffic({
      name: "death of a producer",
      preemptions: 1,
      fullPreemptions: 2,
      kills: 1,
      victim: 0,
      spins: 0,
      slices,
      producers: [1, 1],
      puts: [1, 1],
      takes: [1],
    }),
    traffic({
      name: "death of a consumer",
      preemptions: 1,
      fullPreemptions: 2,
      kills: 1,
      victim: 1,
      spins: 0,
      slices,
      producers: [2],
      puts: [2],
      takes: [1, 1],
    }),
    traffic({
      name: "death of a consumer when it is full",
      preemptions: 1,
      kills: 1,
      victim: 1,
      spins: 0,
      slices,
      full: true,
      producers: [3],
      puts: [1],
      takes: [2, 2],
    }),
    closing(),
  ],
  // Of "lib/structs/rings/mpmc_core.ts", and of what it shares with others.
  mutants: MPMC_MUTANTS,
}];
