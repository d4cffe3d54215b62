import { parentPort } from "node:worker_threads";
import { currentNode, fromHandles, toHandles, topology, worker } from "../../mod.ts";
import { flatten } from "../../lib/sched/message.ts";
import { BUILTINS, type WorkerContext } from "../../lib/tasks/builtins.ts";
import type { CrewCall, CrewReply } from "../support/loop_crew.ts";
import { NumaError } from "../../lib/base/error.ts";
import * as tasks from "./loop_tasks.ts";

/** Runs what it is posted, until it is posted null. */
export default worker(({ index, count }: { index: number; count: number }): Promise<void> => {
  const functions = tasks as unknown as Record<string, (...args: unknown[]) => unknown>;
  const context: WorkerContext = {
    ...{ index, count },
    placement: { cpus: topology().allowedCpus, node: currentNode() },
    functionOf(name) {
      const found = functions[name];
      if (found !== undefined) return found;
      throw new NumaError("EINVAL", `run ${name}`, { why: "there is no such function" });
    },
  };
  tasks.self.index = index;
  const reply = (message: CrewReply): void => parentPort?.postMessage(toHandles(message));
  return new Promise((resolve) => {
    parentPort?.on("message", async (message: unknown) => {
      if (message === null) return resolve();
      const { id } = message as CrewCall;
      try {
        // What is in it may be gone by now.
        const { builtin, args } = fromHandles(message) as CrewCall;
        const run = BUILTINS[builtin] as (context: WorkerContext, ...args: unknown[]) => unknown;
        reply({ id, value: await run(context, ...args) });
      } catch (error) {
        reply({ id, error: flatten(error) });
      }
    });
    reply({ id: 0 });
  });
});
