/**
 * What callers get wrong: values for every position of every call, and the ways to put them there.
 */
import process from "node:process";
import { Arena, Histogram, Latch, Mutex, RwLock, SharedMutex } from "../../mod.ts";
import { show } from "../../lib/base/check.ts";

/** What code of the caller throws: the one error that comes through as it is. */
export const OURS: Error = new Error("the caller's own");

/** Memory of that many bytes that no other thread can have. */
export function ownWords(bytes: number): Int32Array<ArrayBuffer> {
  return new Int32Array(new ArrayBuffer(bytes));
}

/** Takes a buffer's memory away. */
export function detach<View extends ArrayBufferView<ArrayBuffer>>(view: View): View {
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

let named: Arena | undefined;
let arenas = 0;

/** An arena with a name, which has room for another few of what lives in such a one. */
export function namedArena(): Arena {
  if (named === undefined || named.capacity - named.used < 4096) {
    named = freshArena();
  }
  return named;
}

/** An arena with a name, for the caller alone. */
export function freshArena(size = "64 KiB"): Arena {
  const name = `fuzz-sync-${process.pid}-${arenas++}`;
  return Arena.create({ node: 0, size, name });
}

/** Objects that are right somewhere else, made once: calls leave them as they are. */
function strangers(): unknown[] {
  const shared = (bytes: number) => new SharedArrayBuffer(bytes);
  const inUse = shared(65536);
  const latch = Latch.create(inUse, 1);
  const mutex = Mutex.create(shared(Mutex.bytes()));
  const rw = RwLock.create(shared(RwLock.bytes()));
  const histogram = Histogram.create(shared(Histogram.bytes({ threads: 16 })), { threads: 16 });
  const between = SharedMutex.create(namedArena());
  const arena = Arena.create({ node: 0, size: "64 KiB" });
  const gone = Mutex.create(arena);
  const handles = [latch, mutex, rw, rw.read, histogram, between].map((object) =>
    object.toHandle()
  );
  const stale = [arena.toHandle(), gone.toHandle()];
  arena.destroy();
  return [
    ...[latch, mutex, rw, rw.write, histogram, histogram.snapshot(), between, gone, arena],
    ...[inUse, new Int32Array(inUse), namedArena().toHandle(), ...handles, ...stale],
  ];
}

let known: unknown[] | undefined;

/** What is wrong almost everywhere. */
export function wrongValues(): unknown[] {
  return [
    ...[undefined, null, true, false, NaN, -0, 0, -1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, Infinity],
    ...["", "7", "thread", "abcdefghijklmnopqrstuvwxyz", Symbol("fuzz"), 7n, 2n ** 64n],
    ...[[], [Symbol("x"), 1, 2], [1n, 2n, 3n], Array.from({ length: 20 }, () => Symbol("x"))],
    ...[Object.freeze(new Array(20).fill(0)), { length: 20 }, { length: 1e9 }, { length: "20" }],
    ...[{}, Object.create(null), { timeoutMs: 1 }, { numakitHandle: "Mutex", data: {} }],
    ...[{ numakitHandle: "Mutex", data: { words: ownWords(65536) } }, new Map(), new Date(0)],
    ...[() => 1, () => undefined, Promise.resolve(1), new Proxy({}, {})],
    ...[new ArrayBuffer(65536), detach(ownWords(65536)).buffer, detach(ownWords(65536))],
    ...[new SharedArrayBuffer(0), new SharedArrayBuffer(128), new SharedArrayBuffer(65535)],
    ...[new Int32Array(0), new Uint32Array(65536), new Float64Array(65536), new Uint8Array(8)],
    ...[new BigInt64Array(20), new DataView(new ArrayBuffer(64)), AbortSignal.abort(OURS)],
    ...[new Int32Array(new SharedArrayBuffer(65540), 4), new AbortController()],
    {
      get length(): number {
        throw OURS;
      },
    },
    {
      length: 20,
      get 1(): number {
        throw OURS;
      },
    },
    ...[{ length: 20, 1: { valueOf: () => Symbol("x") } }, ...known ??= strangers()],
  ];
}

/** What is wrong where a function belongs. */
function wrongFunctions(): unknown[] {
  return [
    () => {
      throw OURS;
    },
    () => Symbol("x"),
    () => 0,
    () => new Promise((resolve) => setTimeout(resolve, 1)),
    function* () {
      yield true;
    },
  ];
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
}

const LOOKS = 6;
const DEPTH = 3;

/** An object that is right until somebody looks at it for the nth time: then it throws, or is wrong. */
function shifty(value: Record<string, unknown>, look: number, throws: boolean): unknown {
  let looks = 0;
  return new Proxy(value, {
    get(target, key) {
      if (looks++ !== look) return Reflect.get(target, key);
      if (throws) throw OURS;
      return Symbol("late");
    },
  });
}

/** A value with every wrong one in its place or at some place inside, and how to say that. */
function* spoilt(value: unknown, depth = 0): Generator<readonly [string, unknown]> {
  for (const [index, wrong] of wrongValues().entries()) {
    yield [`wrong value ${index}, ${show(wrong)}`, wrong];
  }
  if (typeof value === "function") {
    for (const [index, wrong] of wrongFunctions().entries()) yield [`function ${index}`, wrong];
  }
  if (!isPlain(value)) return;
  for (let look = 0; look < LOOKS; look++) {
    yield [`throws at look ${look}`, shifty(value, look, true)];
    yield [`changes at look ${look}`, shifty(value, look, false)];
  }
  if (depth === DEPTH) return;
  for (const key of Object.keys(value)) {
    for (const [told, wrong] of spoilt(value[key], depth + 1)) {
      const changed = { ...value, [key]: wrong };
      // Without an end it must not be allowed to sleep.
      if (key === "timeoutMs") delete changed["block"];
      yield [`${key}: ${told}`, changed];
    }
  }
}

/**
 * Arguments with one of them missing or wrong, after the right ones.
 *
 * @param right Makes the right ones. Called for each.
 */
export function* variants(
  right: () => readonly unknown[],
): Generator<readonly [string, readonly unknown[]]> {
  const first = right();
  yield ["right", first];
  for (const place of first.keys()) {
    yield [`${place} arguments`, right().slice(0, place)];
    for (const [told, wrong] of spoilt(right()[place])) {
      yield [`argument ${place}: ${told}`, right().with(place, wrong)];
    }
  }
}
