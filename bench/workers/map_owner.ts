/**
 * Owns a `Map` and answers what others ask of it: what threads do without a map that they share.
 */
import { parentPort, workerData } from "node:worker_threads";

const map = new Map<number, number>();
for (let key = 0; key < (workerData as { readonly keys: number }).keys; key++) map.set(key, key);
parentPort?.on("message", (key: number) => parentPort?.postMessage(map.get(key)));
