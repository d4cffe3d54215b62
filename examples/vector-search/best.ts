/** The best of many: with the highest scores, and of equal ones the lowest numbers. */

/** Vectors that were found, the best one first. */
export interface Found {
  readonly ids: readonly number[];
  readonly scores: readonly number[];
}

/** Keeps the best of what it is shown, in the order of the numbers. */
export class Best {
  readonly #ids: number[] = [];
  readonly #scores: number[] = [];
  readonly #most: number;
  /** What a score has to be above. */
  #least = -Infinity;

  constructor(most: number) {
    this.#most = most;
  }

  offer(id: number, score: number): void {
    if (score > this.#least) this.#insert(id, score);
  }

  #insert(id: number, score: number): void {
    const ids = this.#ids;
    const scores = this.#scores;
    // Few are ever inserted: what is far down a long list is below the best of it.
    let at = Math.min(scores.length, this.#most - 1);
    for (; at > 0 && score > (scores[at - 1] as number); at--) {
      ids[at] = ids[at - 1] as number;
      scores[at] = scores[at - 1] as number;
    }
    ids[at] = id;
    scores[at] = score;
    if (scores.length === this.#most) this.#least = scores[this.#most - 1] as number;
  }

  found(): Found {
    return { ids: this.#ids, scores: this.#scores };
  }
}

/** The best of several lists, which are in the order of the numbers in them. */
export function merge(lists: readonly Found[], most: number): Found {
  const all = lists.flatMap(({ ids, scores }) =>
    ids.map((id, index) => [id, scores[index] as number] as const)
  );
  all.sort(([id, score], [otherId, otherScore]) => otherScore - score || id - otherId);
  const best = all.slice(0, most);
  return { ids: best.map(([id]) => id), scores: best.map(([, score]) => score) };
}
