import { type Channel, type Latch, type MpmcRing, worker } from "@numakit/numakit";
import { BATCH, Hit, HIT_WORDS, linesOf, parseLine } from "./log.ts";

export interface ParseArgs {
  readonly ready: Latch;
  readonly chunks: Channel<Uint8Array>;
  readonly parsed: MpmcRing;
}

/** Makes records of lines. */
export default worker(({ ready, chunks, parsed }: ParseArgs) => {
  const words = new Int32Array(BATCH * HIT_WORDS);
  const hits = Hit.array(words);
  ready.countDown();
  for (let chunk = chunks.receive(); chunk !== undefined; chunk = chunks.receive()) {
    const lines = linesOf(chunk);
    for (const [index, line] of lines.entries()) hits.write(index, parseLine(line));
    parsed.push(words.subarray(0, lines.length * HIT_WORDS));
  }
});
