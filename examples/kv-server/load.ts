/**
 * Asks a server for keys, some more often than others, and puts what it has not: in a process of its own.
 *
 * Prints its figures as JSON. Usage: load.ts URL SECONDS
 */
import { Histogram } from "@numakit/numakit";
import autocannon from "autocannon";
import process from "node:process";

/** What a run came to. */
export interface LoadFigures {
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Requests for values that were answered with one. */
  readonly hitRatio: number;
  readonly errors: number;
}

const CONNECTIONS = 32;
const WARM_UP_S = 3;
const KEYS = 40_000;
const VALUE = "v".repeat(1000);

/** How often keys are asked for: Zipf's law, with 1 as its exponent. */
const shares = new Float64Array(KEYS);
for (let key = 0, sum = 0; key < KEYS; key++) shares[key] = sum += 1 / (key + 1);

function nextKey(): number {
  const share = Math.random() * (shares.at(-1) as number);
  let [low, high] = [0, KEYS - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((shares[middle] as number) < share) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function run(url: string, seconds: number): Promise<LoadFigures> {
  const latency = Histogram.create(new SharedArrayBuffer(Histogram.bytes()));
  let [hits, misses] = [0, 0];
  const { requests, errors, non2xx } = await autocannon({
    url,
    connections: CONNECTIONS,
    duration: seconds,
    setupClient(client) {
      let path = "";
      let isMissing = false;
      const ask = (): void => {
        // Whoever misses a value fetches it from elsewhere, and puts it here for the next one.
        if (!isMissing) path = `/kv/key-${nextKey()}`;
        client.setRequests([isMissing ? { method: "PUT", path, body: VALUE } : { path }]);
      };
      ask();
      client.on("response", (status, _bytes, ms) => {
        latency.record(ms * 1000);
        if (status === 200) hits++;
        else if (status === 404) misses++;
        isMissing = status === 404;
        ask();
      });
    },
  });
  const times = latency.snapshot();
  return {
    requestsPerSecond: requests.average,
    p50Us: times.percentile(50),
    p99Us: times.percentile(99),
    hitRatio: hits / (hits + misses),
    errors: errors + non2xx - misses,
  };
}

const [, , url = "http://127.0.0.1:8080", seconds = "5"] = process.argv;
await run(url, WARM_UP_S);
console.log(JSON.stringify(await run(url, Number(seconds))));
