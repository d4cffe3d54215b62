/** The loops of `bench/loops.ts`. */

/** The square root of each number plus two: it stays what it was. */
export function mapRange(values: Float64Array, begin: number, end: number): void {
  for (let index = begin; index < end; index++) {
    values[index] = Math.sqrt((values[index] as number) + 2);
  }
}

/** The same as the task of a parallel loop. */
export function map(begin: number, end: number, values: Float64Array): void {
  mapRange(values, begin, end);
}
