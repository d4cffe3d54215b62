/**
 * A line: first in, first out. Arrays move all that is left whenever they give their first item away.
 *
 * @typeParam Item What waits in it; not undefined.
 */
export class Line<Item> {
  #items: Item[] = [];
  #head = 0;

  /** How many items wait. */
  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Adds an item. */
  push(item: Item): void {
    this.#items.push(item);
  }

  /** Takes the first item; undefined if there is none. */
  shift(): Item | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head++];
    // Now and then, so that it costs a move of each item.
    if (this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
