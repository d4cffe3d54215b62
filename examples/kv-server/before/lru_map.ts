/** What one would write without numakit: a `Map` with a budget, a time to live, and LRU. */
import type { Store } from "../handler.ts";

interface Entry {
  readonly value: Uint8Array<ArrayBuffer>;
  readonly endMs: number;
}

export class LruMap implements Store {
  readonly #entries = new Map<string, Entry>();
  readonly #capacity: number;
  #bytes = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string): Uint8Array<ArrayBuffer> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.delete(key);
    if (entry.endMs <= Date.now()) return undefined;
    // The last one that was used is the last one that goes.
    this.#add(key, entry);
    return entry.value;
  }

  set(
    key: string,
    value: Uint8Array,
    { ttlMs = Infinity }: { readonly ttlMs?: number } = {},
  ): void {
    this.delete(key);
    this.#add(key, { value: new Uint8Array(value), endMs: Date.now() + ttlMs });
    for (const first of this.#entries.keys()) {
      if (this.#bytes <= this.#capacity) break;
      this.delete(first);
    }
  }

  delete(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#bytes -= key.length + entry.value.length;
    return this.#entries.delete(key);
  }

  stats(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries.size, bytes: this.#bytes };
  }

  #add(key: string, entry: Entry): void {
    this.#entries.set(key, entry);
    this.#bytes += key.length + entry.value.length;
  }
}
