import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { launch } from "../../mod.ts";
import { native } from "../../lib/runtime/native.ts";
import { sibling } from "../support/checkout.ts";
import { inExtent } from "../support/extent.ts";

const THREADS = 8;
const WAVES = inExtent(1, 3);
const ROUNDS = 200;

function retired(): number {
  const out = new BigUint64Array(4);
  native().calls.nk_mapping_stats(out);
  return Number(out[2]);
}

describe("arena.destroy in many threads at once", () => {
  it("leaves no view alive, and no addresses kept for ever", async () => {
    const before = retired();
    const url = sibling(import.meta.url, "../workers/churn_arenas");
    for (let wave = 0; wave < WAVES; wave++) {
      const threads = Array.from(
        { length: THREADS },
        () => launch<number>(url, { args: { rounds: ROUNDS } }),
      );
      const alive = await Promise.all(threads.map((thread) => thread.join()));
      assert.deepEqual(alive, threads.map(() => 0));
    }
    assert.equal(retired(), before);
  });
});
