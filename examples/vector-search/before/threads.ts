/** The same with worker_threads: each is sent a copy of its vectors at first, and each query by a message. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type Found, merge } from "../best.ts";
import { readOptions } from "../options.ts";
import { ask } from "../report.ts";
import { DIMENSIONS, writeVectors } from "../vectors.ts";
import type { Share } from "./worker.ts";

const options = readOptions();
const vectors = new Float32Array(options.vectors * DIMENSIONS);
writeVectors(vectors, 0);

const each = Math.ceil(options.vectors / options.threads);
const workers = await Promise.all(Array.from({ length: options.threads }, async (_, index) => {
  const worker = new Worker(new URL("./worker.ts", import.meta.url));
  const first = index * each;
  const count = Math.max(0, Math.min(each, options.vectors - first));
  const share: Share = {
    ...{ first, count, most: options.most },
    vectors: vectors.slice(first * DIMENSIONS, (first + count) * DIMENSIONS),
  };
  worker.postMessage(share);
  await once(worker, "message");
  return worker;
}));

await ask(options, async (query, most) => {
  const found = workers.map(async (worker) => {
    worker.postMessage(query);
    const [message] = await once(worker, "message");
    return message as Found;
  });
  return merge(await Promise.all(found), most);
});
await Promise.all(workers.map((worker) => worker.terminate()));
