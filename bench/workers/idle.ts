/**
 * A thread that says when it began, and does nothing.
 */
import { worker, type WorkerFunction } from "../../mod.ts";
import { beIdle, type IdleTask } from "./idle_task.ts";

const body: WorkerFunction<IdleTask, void> = worker(beIdle);
export default body;
