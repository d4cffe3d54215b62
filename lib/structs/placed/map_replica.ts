/**
 * One copy of a replicated map: a hash map to which only the thread writes that owns the copy.
 *
 * @module
 */
import type { Waiter } from "../../wait/waiter.ts";
import { ADDED, FULL } from "../maps/map_chains.ts";
import { MapCore, type MapCoreOptions } from "../maps/map_core.ts";
import type { Replica } from "./replicated_core.ts";
import { CLEAR, KIND, RECORD_HEAD, REMOVE } from "./replicated_table.ts";

/** A copy. */
export class MapReplica implements Replica {
  /** Its entries. */
  readonly map: MapCore;
  readonly #key: Int32Array;
  readonly #value: Int32Array;

  /**
   * @param words The copy's memory: zero at first.
   * @param options What is known of the map.
   */
  constructor(words: Int32Array, options: MapCoreOptions) {
    this.map = new MapCore(words, options);
    this.#key = new Int32Array(options.keyWords);
    this.#value = new Int32Array(options.layout.entryWords - options.keyWords);
  }

  apply(me: Waiter, log: Int32Array, at: number): boolean {
    const kind = log[at + KIND] as number;
    if (kind === CLEAR) return this.#clear(me);
    const key = this.#key;
    let from = at + RECORD_HEAD;
    for (let word = 0; word < key.length; word++) key[word] = log[from++] as number;
    return kind === REMOVE ? this.#remove(me) : this.#assign(me, log, from);
  }

  // A chain is locked by who owns the copy, or by a thread that has died. One that is locked by another one can only be
  // in memory that somebody has written over: the copy is lost then.

  #assign(me: Waiter, log: Int32Array, from: number): boolean {
    const { map } = this;
    const value = this.#value;
    for (let word = 0; word < value.length; word++) value[word] = log[from + word] as number;
    if (!map.lock(me, this.#key)) return false;
    const outcome = map.assign(this.#key, value);
    const isCrowded = outcome === ADDED && map.isCrowded();
    map.unlock();
    if (isCrowded) map.grow(me);
    return outcome !== FULL;
  }

  #remove(me: Waiter): boolean {
    const { map } = this;
    if (!map.lock(me, this.#key)) return false;
    map.remove(this.#key);
    map.unlock();
    return true;
  }

  #clear(me: Waiter): boolean {
    const { map } = this;
    const buckets = map.buckets();
    const key = this.#key;
    const entryWords = key.length + this.#value.length;
    for (let place = 0; place < buckets; place++) {
      const entries = map.copy(place, buckets);
      for (let at = 0; at < entries.length; at += entryWords) {
        for (let word = 0; word < key.length; word++) key[word] = entries[at + word] as number;
        if (!this.#remove(me)) return false;
      }
    }
    return true;
  }
}
