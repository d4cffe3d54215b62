/**
 * Bugs that `specs/mpmc.ts` has to find.
 *
 * @module
 */
import type { Mutant } from "./spec.ts";

const TOLD = "    if (this.notEmpty.mayWait() || this.notFull.mayWait()) this.#tell(me);";

const mutants: readonly (Omit<Mutant, "file"> & { readonly file?: string })[] = [
  {
    name: "records are there before they are",
    find: `    for (let word = 0; word < n * size; word++) {
      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;
    }
    storeLeading(words, TAIL, (tail + n) | 0);`,
    replace: `    storeLeading(words, TAIL, (tail + n) | 0);
    for (let word = 0; word < n * size; word++) {
      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;
    }`,
  },
  {
    name: "the room is there before the records have been read",
    find: `    for (let word = 0; word < n * size; word++) {
      target[word] = words[at] as number;
      if (++at === end) at = RECORDS;
    }
    storeLeading(words, HEAD, (head + n) | 0);`,
    replace: `    storeLeading(words, HEAD, (head + n) | 0);
    for (let word = 0; word < n * size; word++) {
      target[word] = words[at] as number;
      if (++at === end) at = RECORDS;
    }`,
  },
  {
    name: "the producers' index is stored without order",
    find: "    storeLeading(words, TAIL, (tail + n) | 0);",
    replace: "    words[TAIL] = (tail + n) | 0;",
  },
  {
    name: "the producers' side is left before its index is stored",
    find: `    storeLeading(words, TAIL, (tail + n) | 0);
    Atomics.store(words, PRODUCER, 0);`,
    replace: `    Atomics.store(words, PRODUCER, 0);
    Atomics.store(words, TAIL, (tail + n) | 0);`,
  },
  {
    name: "the consumers' side is left before its index is stored",
    find: `    storeLeading(words, HEAD, (head + n) | 0);
    Atomics.store(words, CONSUMER, 0);`,
    replace: `    Atomics.store(words, CONSUMER, 0);
    Atomics.store(words, HEAD, (head + n) | 0);`,
  },
  {
    name: "a side is taken from the living",
    find: "owner !== me.id && me.alive(owner)) return false;",
    replace: "owner !== me.id && me.alive(owner) && owner < 0) return false;",
  },
  {
    name: "nobody follows a dead owner",
    find: "if (owner !== 0 && owner !== me.id && me.alive(owner)) return false;",
    replace: "if (owner !== 0) return false;",
  },
  {
    name: "a dead owner has several heirs",
    find: "    return Atomics.compareExchange(words, side, owner, me.id) === owner;",
    replace: "    Atomics.store(words, side, me.id);\n    return true;",
  },
  {
    name: "a producer that finds too little room stays inside",
    find: "      Atomics.store(words, PRODUCER, 0);\n      this.#wasFull",
    replace: "      this.#wasFull",
  },
  {
    name: "a consumer that finds too few records stays inside",
    find: "      Atomics.store(words, CONSUMER, 0);\n      this.#wasEmpty",
    replace: "      this.#wasEmpty",
  },
  {
    name: "one record more than there is room for",
    find: "      room = this.capacity - ((tail - head) | 0);",
    replace: "      room = this.capacity + 1 - ((tail - head) | 0);",
  },
  {
    name: "what the consumers saw is not taken up to date",
    find: "      words[TAIL_SEEN] = tail;",
    replace: "      words[TAIL_SEEN] = tail + 1;",
  },
  {
    name: "the end of the memory is not its start",
    find: `      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;`,
    replace: `      words[at] = source[word] as number;
      if (++at === end) at = RECORDS + size;`,
  },
  {
    name: "indices that wrap are compared without that",
    find: "there = (tail - head) | 0;",
    replace: "there = tail - head;",
  },
  {
    name: "it seems full that never was",
    find: `    const tail = loadShared(words, TAIL);
    const room = this.capacity - ((tail - loadShared(words, HEAD)) | 0);
    return`,
    replace: `    const head = loadShared(words, HEAD);
    const room = this.capacity - ((loadShared(words, TAIL) - head) | 0);
    return`,
  },
  {
    name: "it seems empty that never was",
    find: `    const head = loadShared(words, HEAD);
    return ((loadShared(words, TAIL) - head) | 0) < least;`,
    replace: `    const tail = loadShared(words, TAIL);
    return ((tail - loadShared(words, HEAD)) | 0) < least;`,
  },
  {
    name: "whoever found it full does not see that it is closed",
    find: " && loadFollowing(words, CLOSED) === 0;",
    replace: ";",
  },
  {
    name: "records are put into a closed ring",
    find: "const isEnded = words[CLOSED] !== 0;",
    replace: "const isEnded = false;",
  },
  {
    name: "it is closed while somebody puts records in",
    find: "const isFree = Atomics.compareExchange(words, PRODUCER, 0, me.id) === 0;",
    replace: "const isFree = Atomics.load(words, PRODUCER) !== ENDED;",
  },
  {
    name: "it is closed after those who sleep were told",
    find: `    Atomics.store(words, CLOSED, 1);
    Atomics.store(words, PRODUCER, 0);
    this.notEmpty.notifyAll(me);
    this.notFull.notifyAll(me);`,
    replace: `    this.notEmpty.notifyAll(me);
    this.notFull.notifyAll(me);
    Atomics.store(words, CLOSED, 1);
    Atomics.store(words, PRODUCER, 0);`,
  },
  {
    name: "consumers leave records to nobody",
    find: `    this.#wasEmpty = false;\n${TOLD}`,
    replace:
      "    this.#wasEmpty = false;\n    if (this.notFull.mayWait()) this.notFull.notify(me);",
  },
  {
    name: "producers leave room to nobody",
    find: `    this.#wasFull = false;\n${TOLD}`,
    replace:
      "    this.#wasFull = false;\n    if (this.notEmpty.mayWait()) this.notEmpty.notify(me);",
  },
  {
    name: "producers that need different room are taken for the same",
    find: "if (before === 0 || before === count || before === MIXED) return;",
    replace: "if (before >= MIXED) return;",
  },
  {
    name: "a producer keeps what it was told in place of another one",
    find: `    Atomics.store(this.#words, NEED, MIXED);
    this.notFull.notifyAll(me);`,
    replace: "    Atomics.store(this.#words, NEED, MIXED);",
  },
  {
    name: "a producer is not told of room that is just enough",
    find: "    if (room >= need) this.notFull.notify(me);",
    replace: "    if (room > need) this.notFull.notify(me);",
  },
  {
    name: "what producers need is forgotten after they were told",
    find: `      Atomics.store(words, NEED, 0);
      this.notFull.notifyAll(me);`,
    replace: `      this.notFull.notifyAll(me);
      Atomics.store(words, NEED, 0);`,
  },
  {
    name: "sleepers do not look when a thread dies",
    file: "lib/structs/rings/ring_words.ts",
    find: "    notEmpty: new EventCountCore(words.subarray(first, second), shape, true),",
    replace: "    notEmpty: new EventCountCore(words.subarray(first, second), shape, false),",
  },
];

/** All of them. */
export const MPMC_MUTANTS: readonly Mutant[] = mutants.map((mutant) => ({
  file: "lib/structs/rings/mpmc_core.ts",
  ...mutant,
}));
