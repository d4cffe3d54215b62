/** The same tasks by messages, without a pool. */
import { parentPort } from "node:worker_threads";
import * as functions from "./functions.ts";
import { pinWorker } from "./pin.ts";

pinWorker();
parentPort?.on("message", ([name, values]: [keyof typeof functions, [number, number]]) => {
  parentPort?.postMessage(
    name === "add" ? functions.add(...values) : functions[name](),
  );
});
