/** The stages over messages: arrays of objects, as one would write it first; or buffers that are transferred. */
import { type Latch, worker } from "@numakit/numakit";
import type { MessagePort } from "node:worker_threads";
import { Hit, HIT_WORDS, type HitRecord, linesOf, logOf, networks, parseLine } from "../log.ts";
import { Outlet, receiveAll } from "./link.ts";
import { count, newTally, type Tally } from "./tally.ts";

export interface StageArgs {
  readonly stage: "source" | "parse" | "enrich" | "aggregate";
  readonly carries: "objects" | "buffers";
  readonly lines: number;
  readonly ready: Latch;
  readonly inputs: readonly MessagePort[];
  readonly outputs: readonly MessagePort[];
}

type Batch = HitRecord[] | Int32Array<ArrayBuffer>;

function send(outlet: Outlet, batch: Batch): Promise<void> {
  return outlet.send(batch, Array.isArray(batch) ? [] : [batch.buffer]);
}

function parse(chunk: Uint8Array, carries: StageArgs["carries"]): Batch {
  const lines = linesOf(chunk);
  if (carries === "objects") return lines.map(parseLine);
  const words = new Int32Array(lines.length * HIT_WORDS);
  const hits = Hit.array(words);
  for (const [index, line] of lines.entries()) hits.write(index, parseLine(line));
  return words;
}

function enrich(batch: Batch, countries: ReadonlyMap<number, number>): Batch {
  const countryOf = (address: number): number => countries.get(address >>> 16) ?? 0;
  if (Array.isArray(batch)) {
    return batch.map((hit) => ({ ...hit, country: countryOf(hit.address) }));
  }
  const { length, fields: { address, country } } = Hit.array(batch);
  for (let index = 0; index < length; index++) country.set(index, countryOf(address.get(index)));
  return batch;
}

function aggregate(batch: Batch, tally: Tally): void {
  if (Array.isArray(batch)) {
    for (const hit of batch) count(tally, hit);
    return;
  }
  const hits = Hit.array(batch);
  for (let index = 0; index < hits.length; index++) count(tally, hits.read(index));
}

export default worker(async (args: StageArgs): Promise<number | Tally> => {
  const { stage, carries, lines, ready, inputs, outputs } = args;
  const outlet = new Outlet(outputs);
  if (stage === "source") {
    await ready.waitAsync();
    const startMs = Date.now();
    for (const chunk of logOf(lines)) await outlet.send(chunk);
    outlet.end();
    return startMs;
  }
  const countries = new Map(networks());
  const tally = newTally();
  const ended = receiveAll<never>(inputs, (batch) => {
    if (stage === "parse") return send(outlet, parse(batch, carries));
    if (stage === "enrich") return send(outlet, enrich(batch, countries));
    return aggregate(batch, tally);
  });
  ready.countDown();
  await ended;
  outlet.end();
  return tally;
});
