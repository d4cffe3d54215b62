import { type Latch, type MpmcRing, worker } from "@numakit/numakit";
import { BATCH, Hit, HIT_WORDS } from "./log.ts";
import { addHits, type Totals } from "./totals.ts";

export interface AggregateArgs {
  readonly ready: Latch;
  readonly enriched: MpmcRing;
  readonly totals: Totals;
}

/** Counts. */
export default worker(({ ready, enriched, totals }: AggregateArgs) => {
  const words = new Int32Array(BATCH * HIT_WORDS);
  const hits = Hit.array(words);
  ready.countDown();
  for (let count = enriched.pop(words); count > 0; count = enriched.pop(words)) {
    addHits(totals, hits, count);
  }
});
