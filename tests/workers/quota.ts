import { type LimitedCounter, worker } from "../../mod.ts";

/** Takes all that it can get, in portions of 1 to `most`. */
export interface QuotaTask {
  readonly counter: LimitedCounter;
  readonly most: number;
}

export default worker(({ counter, most }: QuotaTask): number => {
  let taken = 0;
  for (let turn = 0;; turn++) {
    const n = 1 + turn % most;
    if (counter.tryAdd(n)) taken += n;
    // Another thread may just be moving credit: the end is where the total says so.
    else if (counter.value() === counter.limit) return taken;
  }
});
