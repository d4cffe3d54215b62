/**
 * What threads do with maps, caches and channels while their lines are counted.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import {
  type Cache,
  type Channel,
  type HashMap,
  ReplicatedMap,
  type ShardedMap,
} from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";

/** How often a work is done while it is counted. */
interface Times {
  readonly times: number;
}

/** Maps that are read in the same way. */
export type AnyMap =
  | HashMap<number, number>
  | ShardedMap<number, number>
  | ReplicatedMap<number, number>;

/** Works of this file. */
export type MapWork =
  | {
    readonly kind: "read map";
    /** A map of which a key's value is three times the key, or the words of a {@linkcode NaiveTable}. */
    readonly map: AnyMap | Int32Array;
    /** As many as `times`. */
    readonly keys: Uint32Array;
  } & Times
  | {
    readonly kind: "read cache";
    readonly cache: Cache<string, Uint8Array>;
    /** As many as `times`. */
    readonly keys: readonly string[];
  } & Times
  | {
    readonly kind: "send" | "receive";
    readonly channel: Channel<Uint8Array> | MessagePort;
    /** How many are sent, or received, by one call. */
    readonly batch: number;
  } & Times;

/** Bytes of a message: with its length it is as long as a cache line. */
export const MESSAGE_BYTES = 60;

/**
 * What a user would write: a table of keys and values with open addressing, behind the word of a mutex.
 */
export class NaiveTable {
  /** A line for the mutex. */
  static readonly #head = 16;
  readonly #words: Int32Array;
  readonly #mutex: NaiveMutex;
  readonly #mask: number;

  /** @param words A line, and a power of two of slots of two words. */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#mutex = new NaiveMutex(words);
    this.#mask = (words.length - NaiveTable.#head) / 2 - 1;
  }

  /** Bytes of a table of so many slots. */
  static bytes(slots: number): number {
    return (NaiveTable.#head + 2 * slots) * 4;
  }

  set(key: number, value: number): void {
    this.#mutex.acquire();
    const at = this.#find(key);
    this.#words[at] = key;
    this.#words[at + 1] = value;
    this.#mutex.release();
  }

  get(key: number): number {
    this.#mutex.acquire();
    const value = this.#words[this.#find(key) + 1] as number;
    this.#mutex.release();
    return value;
  }

  /** Where a key is, or could be. Keys are not 0. */
  #find(key: number): number {
    for (let slot = Math.imul(key, 0x9e3779b1) >>> 7;; slot++) {
      const at = NaiveTable.#head + 2 * (slot & this.#mask);
      const found = this.#words[at];
      if (found === key || found === 0) return at;
    }
  }
}

function readMap({ map, keys }: Extract<MapWork, { kind: "read map" }>): (times: number) => void {
  const readable = map instanceof Int32Array ? new NaiveTable(map) : map;
  // What is in the log is done by the first one that reads a copy.
  if (map instanceof ReplicatedMap) map.get(0);
  return (times) => {
    for (let index = 0; index < times; index++) {
      const key = keys[index] as number;
      if (readable.get(key) !== 3 * key) throw new Error(`${key} has another value`);
    }
  };
}

function readCache(
  { cache, keys }: Extract<MapWork, { kind: "read cache" }>,
): (times: number) => void {
  const into = new Uint8Array(MESSAGE_BYTES);
  return (times) => {
    for (let index = 0; index < times; index++) {
      if (cache.getInto(keys[index] as string, into) === undefined) throw new Error("it is gone");
    }
  };
}

/** One side of a channel. */
function talk({ kind, channel, batch }: Extract<MapWork, { kind: "send" | "receive" }>) {
  const message = new Uint8Array(MESSAGE_BYTES);
  const messages = Array.from({ length: batch }, () => message);
  if (!("trySend" in channel)) {
    return (times: number): void => {
      for (let done = 0; done < times;) {
        if (kind === "send") channel.postMessage(message);
        else if (receiveMessageOnPort(channel) === undefined) continue;
        done++;
      }
    };
  }
  if (kind === "receive") {
    return (times: number): void => {
      for (let done = 0; done < times;) {
        if (batch > 1) done += channel.receiveMany(batch).length;
        else done += Number(channel.receive() !== undefined);
      }
    };
  }
  return (times: number): void => {
    for (let done = 0; done < times;) {
      const some = Math.min(batch, times - done);
      const sent = batch > 1 ? channel.trySendMany(messages.slice(0, some)) : 0;
      // Sleeps until there is room.
      if (sent === 0) channel.send(message);
      done += sent || 1;
    }
  };
}

/** Gets a work ready. */
export function prepareMap(work: MapWork): (times: number) => unknown {
  if (work.kind === "read map") return readMap(work);
  if (work.kind === "read cache") return readCache(work);
  return talk(work);
}
