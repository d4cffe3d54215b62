/** A log's way through threads: source, parse, enrich, aggregate. What joins them is shared memory of a fixed size. */
import {
  Arena,
  Channel,
  HashMap,
  Latch,
  launch,
  MpmcRing,
  plan,
  Policy,
  type SyncMemory,
  type Thread,
  topology,
} from "@numakit/numakit";
import { HIT_WORDS, networks } from "./log.ts";
import { readOptions } from "./options.ts";
import { printReport } from "./report.ts";
import { createTotals, reportOf, totalsBytes } from "./totals.ts";

const { lines, threads, json, unplaced } = readOptions();
/** Of the program: this one, the source, and those of three stages. */
const ALL = { threads: 2 + 3 * threads };
const CHANNEL = { ...ALL, codec: "bytes", capacity: 2 ** 18, senders: 1 } as const;
const RING = { ...ALL, capacity: 4096, recordWords: HIT_WORDS };
const TABLE = { ...ALL, key: "u32", value: "u32", capacity: 1024 } as const;
/** For what is between things: each begins at a line. */
const SPARE_BYTES = 2 ** 18;

// A CPU for each thread, with stages that hand over to each other close together.
const policy = Policy.compact();
const places = plan(topology(), policy, 1 + 3 * threads);

/** Memory on the node of a stage, which is that of its first thread. */
function memoryNear(stage: 1 | 2 | 3, total: number): (bytes: number) => SyncMemory {
  if (unplaced) return (bytes) => new SharedArrayBuffer(bytes);
  const node = places[1 + (stage - 1) * threads]?.node ?? 0;
  const arena = Arena.create({ node, size: total + SPARE_BYTES, label: `stage ${stage}` });
  return () => arena;
}

// Each is on the node of the threads that read it: writes to another node stall no thread, reads do.
const toParse = memoryNear(1, threads * Channel.bytes(CHANNEL));
const toEnrich = memoryNear(2, MpmcRing.bytes(RING) + HashMap.bytes(TABLE));
const toCount = memoryNear(
  3,
  Latch.bytes(ALL) + MpmcRing.bytes(RING) + totalsBytes(ALL.threads),
);
const ready = Latch.create(toCount(Latch.bytes(ALL)), 3 * threads, ALL);
const chunks = Array.from(
  { length: threads },
  () => Channel.create(toParse(Channel.bytes(CHANNEL)), CHANNEL),
);
const parsed = MpmcRing.create(toEnrich(MpmcRing.bytes(RING)), RING);
const countries = HashMap.create(toEnrich(HashMap.bytes(TABLE)), TABLE);
for (const [network, country] of networks()) countries.set(network, country);
const enriched = MpmcRing.create(toCount(MpmcRing.bytes(RING)), RING);
const totals = createTotals(toCount, ALL.threads);

function start<Result>(stage: string, argsOfEach: readonly object[]): Thread<Result>[] {
  const module = new URL(`./${stage}.ts`, import.meta.url);
  return argsOfEach.map((args) => launch<Result>(module, { policy, args: { ready, ...args } }));
}

const source = start<number>("source", [{ lines, chunks }]);
const parsers = start("parse", chunks.map((channel) => ({ chunks: channel, parsed })));
const enrichers = start("enrich", chunks.map(() => ({ parsed, enriched, countries })));
const counters = start("aggregate", chunks.map(() => ({ enriched, totals })));

/** Waits for a stage. Rejects when any thread fails: the others would wait for it. */
const all = Promise.all([source, parsers, enrichers, counters].flat().map((one) => one.join()));
const ended = (stage: readonly Thread[]): Promise<unknown> =>
  Promise.race([all, Promise.all(stage.map((thread) => thread.join()))]);

// The source closes its channels; a ring is closed when all that put records into it have ended.
await ended(parsers);
parsed.close();
await ended(enrichers);
enriched.close();
const [startMs] = await all;
printReport(reportOf(totals), Date.now() - (startMs as number), json);
