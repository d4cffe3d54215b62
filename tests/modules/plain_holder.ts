// A worker of `new Worker`, which numakit does not know before it uses a lock, and holds it for good.
import { workerData } from "node:worker_threads";
import { decode } from "../../lib/base/handle.ts";
// Whole: its classes say how handles of them come back to life.
import "../../mod.ts";
import type { Lock } from "../../mod.ts";

const { lock: mine, words } = decode(workerData) as {
  readonly lock: Lock;
  readonly words: Int32Array;
};
mine.acquire();
Atomics.store(words, 0, 1);
setInterval(() => mine.held, 1000);
