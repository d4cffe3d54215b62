// A module that speaks before it fails: for tests/sched/thread_messages_test.ts.
import { parentPort } from "node:worker_threads";

parentPort?.postMessage(null);
parentPort?.postMessage({ type: "done", value: "from the module" });
throw new TypeError("broken after a message");
