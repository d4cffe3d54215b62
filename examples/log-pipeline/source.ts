import { type Channel, type Latch, worker } from "@numakit/numakit";
import { logOf } from "./log.ts";

export interface SourceArgs {
  readonly lines: number;
  /** Opens when all other threads have started. */
  readonly ready: Latch;
  /** One for each thread that parses. */
  readonly chunks: readonly Channel<Uint8Array>[];
}

/** Sends the log in chunks, in turn to each thread that parses; sleeps while there is no room. */
export default worker(({ lines, ready, chunks }: SourceArgs) => {
  ready.wait();
  const startMs = Date.now();
  let turn = 0;
  for (const chunk of logOf(lines)) chunks[turn++ % chunks.length]?.send(chunk);
  for (const channel of chunks) channel.close();
  return startMs;
});
