import { type HashMap, type Latch, type MpmcRing, worker } from "@numakit/numakit";
import { BATCH, Hit, HIT_WORDS } from "./log.ts";

export interface EnrichArgs {
  readonly ready: Latch;
  readonly parsed: MpmcRing;
  readonly enriched: MpmcRing;
  /** Which country a network is in: one table for all threads. */
  readonly countries: HashMap<number, number>;
}

/** Looks up where requests come from. */
export default worker(({ ready, parsed, enriched, countries }: EnrichArgs) => {
  const words = new Int32Array(BATCH * HIT_WORDS);
  const { address, country } = Hit.array(words).fields;
  ready.countDown();
  for (let count = parsed.pop(words); count > 0; count = parsed.pop(words)) {
    for (let index = 0; index < count; index++) {
      country.set(index, countries.get(address.get(index) >>> 16) ?? 0);
    }
    enriched.push(words.subarray(0, count * HIT_WORDS));
  }
});
