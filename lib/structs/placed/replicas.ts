/**
 * The copies of a replicated map, as one thread sees them.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { Attachment } from "../../shared/attachment.ts";
import type { Region } from "../../shared/region.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { hasherOf } from "../maps/hashers.ts";
import type { MapCore } from "../maps/map_core.ts";
import type { MapShape } from "../maps/map_table.ts";
import { persist } from "../naps.ts";
import { BUSY } from "../outcomes.ts";
import { MapReplica } from "./map_replica.ts";
import { NearPart } from "./near_part.ts";
import { nodeOf, seedOf } from "./parts.ts";
import { CURRENT, GONE, ReplicatedCore } from "./replicated_core.ts";
import { CLEAR, REMOVE, replicatedLayoutOf, SET } from "./replicated_table.ts";

/** What is asked, as it follows "Cannot". */
export const READ = "read a replicated map";
export const WRITE = "write to a replicated map";

/** The copies. */
export class Replicas {
  readonly nodes: readonly number[];
  readonly #core: ReplicatedCore;
  readonly #maps: readonly MapCore[];
  readonly #attached: readonly Attachment[];
  readonly #near: NearPart;
  readonly #me: ThreadWaiter;
  readonly #capacity: number;
  /** Of each copy, whether it is lost. */
  readonly #lost: boolean[];
  readonly #unused: Int32Array;
  /** Whether a caller's function decides on a value. */
  isUpdating = false;
  /** The copy that was brought up to date for a write. */
  #written = 0;

  /**
   * @param regions The memories.
   * @param shape What the map holds.
   */
  constructor(regions: readonly Region[], shape: MapShape) {
    const layout = replicatedLayoutOf(shape);
    const { keyWords, valueWords } = shape;
    const parts = regions.map(({ words }) => words);
    const hasher = hasherOf(keyWords, ...seedOf(regions[0] as Region));
    const replicas = parts.map((words) => {
      const map = words.subarray(layout.mapAt, layout.mapAt + layout.map.words);
      return new MapReplica(map, { layout: layout.map, keyWords, hasher });
    });
    this.#core = new ReplicatedCore(parts, layout, replicas);
    this.#maps = replicas.map(({ map }) => map);
    this.#attached = regions.map((region) => new Attachment(region));
    this.#me = (this.#attached[0] as Attachment).me;
    this.nodes = Object.freeze(regions.map(nodeOf));
    this.#near = new NearPart(this.nodes, this.#me);
    this.#capacity = shape.capacity;
    this.#lost = regions.map(() => false);
    this.#unused = new Int32Array(keyWords + valueWords);
  }

  /** The number of the copy that is read next. */
  get near(): number {
    return this.#standing(this.#near.index());
  }

  /**
   * Checks that all memories are there.
   *
   * @param verb What was asked, as it follows "Cannot".
   * @throws {NumaError} `EDESTROYED`.
   */
  check(verb: string): void {
    for (const attached of this.#attached) attached.check(verb);
  }

  /**
   * The nearest copy, which has all that was written before.
   *
   * @returns Its entries.
   * @throws {NumaError} `ENOMEM`; `EBUSY`; `ETERMINATED`.
   */
  current(): MapCore {
    const copy = this.#near.index();
    const tail = this.#core.tail();
    return this.#maps[this.#core.has(copy, tail) ? copy : this.#bring(copy, tail, READ)] as MapCore;
  }

  /**
   * The number of entries.
   *
   * @returns How many there are at one moment.
   * @throws {NumaError} As {@linkcode Replicas.current}.
   */
  size(): number {
    return this.#core.size(this.#bring(this.#near.index(), this.#core.tail(), READ));
  }

  /**
   * Brings a copy up to date that was chosen before.
   *
   * @param map Its entries.
   * @throws {NumaError} `ENOMEM` if it is lost; `EBUSY`; `ETERMINATED`.
   */
  follow(map: MapCore): void {
    const copy = this.#maps.indexOf(map);
    if (this.#bring(copy, this.#core.tail(), READ) === copy) return;
    throw new NumaError("ENOMEM", READ, {
      why: "the copy whose entries were being read had no room for one that was written meanwhile",
      fix: "Begin again: other copies have all. Create it with a greater capacity.",
    });
  }

  /**
   * Begins a write: until {@linkcode Replicas.commit} or {@linkcode Replicas.cancel} nobody else writes.
   *
   * @returns The entries of a copy that has all that was written before.
   * @throws {NumaError} `EDEADLK` in the function of an update; `ENOMEM`; `EBUSY`; `ETERMINATED`; `EDESTROYED`.
   */
  begin(): MapCore {
    const core = this.#core;
    const me = this.#me;
    this.checkWrite();
    if (!core.tryLock(me)) persist(() => core.tryLock(me) ? CURRENT : BUSY, me, WRITE);
    let isDone = false;
    try {
      if (core.room(me) === BUSY) persist(() => core.room(me), me, WRITE);
      this.#written = this.#bring(this.#near.index(), core.tail(), WRITE);
      isDone = true;
    } finally {
      if (!isDone) core.unlock();
    }
    return this.#maps[this.#written] as MapCore;
  }

  /**
   * Checks that this thread may write.
   *
   * @throws {NumaError} `EDEADLK`; `EDESTROYED`.
   */
  checkWrite(): void {
    this.check("write to");
    if (!this.isUpdating) return;
    throw new NumaError("EDEADLK", WRITE, {
      why: "it is written to in the function of an update",
      fix: "Return the new value, and write to other keys afterwards.",
    });
  }

  /**
   * Gives a key a value, and ends the write.
   *
   * @param key The key.
   * @param value The value.
   * @param had Whether it has one.
   * @throws {NumaError} `ENOMEM` if it has none, and the map is full.
   */
  set(key: Int32Array, value: Int32Array, had: boolean): void {
    const size = this.#core.size(this.#written);
    if (!had && size >= this.#capacity) {
      this.#core.unlock();
      throw new NumaError("ENOMEM", WRITE, {
        why: "it has no room for another key",
        fix: "Create it with a greater capacity.",
      });
    }
    this.#commit(SET, size + Number(!had), key, value);
  }

  /**
   * Takes a key out that has a value, and ends the write.
   *
   * @param key The key.
   */
  remove(key: Int32Array): void {
    const unused = this.#unused.subarray(key.length);
    this.#commit(REMOVE, this.#core.size(this.#written) - 1, key, unused);
  }

  /** Takes all keys out, and ends the write. */
  clear(): void {
    this.#commit(CLEAR, 0, this.#unused, this.#unused.subarray(this.#unused.length));
  }

  /** Ends the write, and nothing has changed. */
  cancel(): void {
    this.#core.unlock();
  }

  /** Others can write while this thread's copy gets the operation. */
  #commit(kind: number, size: number, key: Int32Array, value: Int32Array): void {
    const core = this.#core;
    core.append(kind, size, key, value);
    core.unlock();
    // If somebody else is there, or it is lost, whoever reads next sees to it.
    core.bring(this.#me, this.#written, core.tail());
  }

  /** Brings a copy up to date, or another one if it is lost. Returns its number. */
  #bring(near: number, tail: number, action: string): number {
    const core = this.#core;
    const me = this.#me;
    for (let left = this.#lost.length; left > 0; left--) {
      const copy = this.#standing(near);
      if (this.#lost[copy] === true) break;
      let outcome = core.bring(me, copy, tail);
      if (outcome === BUSY) outcome = persist(() => core.bring(me, copy, tail), me, action);
      if (outcome !== GONE) return copy;
      this.#lost[copy] = true;
    }
    return refuseLost(action);
  }

  /** The copy itself, or the next one that is not lost. */
  #standing(near: number): number {
    const { length } = this.#lost;
    for (let step = 0; step < length; step++) {
      const copy = (near + step) % length;
      if (this.#lost[copy] !== true) return copy;
    }
    return near;
  }
}

function refuseLost(action: string): never {
  throw new NumaError("ENOMEM", action, {
    why: "a copy had no room for an entry, and no other one is left",
    fix: "Create it with a greater capacity.",
  });
}
