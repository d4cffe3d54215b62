// A worker of `new Worker`, which numakit does not know before it uses a lock, and holds it for good.
import { workerData } from "node:worker_threads";
import { type Handle, type Lock, McsLock, Mutex } from "../../mod.ts";

const { lock, words } = workerData as { readonly lock: Handle; readonly words: Int32Array };
const mine: Lock = lock.numakitHandle === "Mutex"
  ? Mutex.fromHandle(lock)
  : McsLock.fromHandle(lock);
mine.acquire();
Atomics.store(words, 0, 1);
setInterval(() => mine.held, 1000);
