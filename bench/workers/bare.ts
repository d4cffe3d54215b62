/**
 * The same as `idle.ts` in a Worker of the runtime, without numakit.
 */
import { parentPort } from "node:worker_threads";
import { beIdle } from "./idle_task.ts";

parentPort?.once("message", beIdle);
