/** What came of the queries. */
import { median, peakMiB, table } from "../figures.ts";
import type { Found } from "./best.ts";
import type { Options } from "./options.ts";
import { queryVector } from "./vectors.ts";

/** What `--json` prints. */
export interface Run {
  readonly found: readonly Found[];
  readonly queriesPerSecond: number;
  readonly medianMs: number;
  readonly memoryMiB: number;
}

/** Queries before the clock starts: code is compiled, and has been given the memory it reads. */
const WARM_UP = 5;

/** Asks all queries, one after the other, and prints what was found and how fast. */
export async function ask(
  { queries, most, json }: Options,
  search: (query: Float32Array, most: number) => Found | Promise<Found>,
): Promise<void> {
  for (let query = 0; query < WARM_UP; query++) await search(queryVector(query), most);
  const found: Found[] = [];
  const times: number[] = [];
  for (let query = 0; query < queries; query++) {
    const vector = queryVector(query);
    const startMs = performance.now();
    found.push(await search(vector, most));
    times.push(performance.now() - startMs);
  }
  const queriesPerSecond = queries / times.reduce((sum, ms) => sum + ms, 0) * 1000;
  const medianMs = median(times);
  if (json) {
    const run: Run = { found, queriesPerSecond, medianMs, memoryMiB: peakMiB() };
    console.log(JSON.stringify(run));
    return;
  }
  const rows = found.slice(0, 3).flatMap(({ ids, scores }, query) =>
    ids.map((id, rank) => [`${query}`, `${rank + 1}`, `${id}`, `${scores[rank]}`])
  );
  console.log(table(["query", "rank", "vector", "score"], rows));
  console.log(`${queriesPerSecond.toFixed(0)} queries a second, ${medianMs.toFixed(2)} ms each`);
}
