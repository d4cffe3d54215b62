// Pins of the thread that it runs in, for tests/sched/pin_test.ts and tests/sched/binding_test.ts: told as texts.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { CpuSet, launch, NumaError, pin, Policy, topology, unpinned, worker } from "../../mod.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { sibling } from "../support/checkout.ts";
import { cpusNow } from "../support/pins.ts";

/** What to do, and on which CPU. */
export interface PinTask {
  readonly task: keyof typeof tasks;
  readonly cpu?: number;
}

const module = sibling(import.meta.url, "./pins");

function attempt(call: () => unknown): string {
  try {
    return String(call());
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    return error.code;
  }
}

async function nested(
  policy?: Policy,
  strength: "require" | "prefer" = "require",
): Promise<string> {
  const options = policy === undefined ? {} : { policy, bind: { cpus: strength } };
  const thread = launch<string>(module, { ...options, args: { task: "where" } });
  try {
    return await thread.join();
  } catch (error) {
    if (!(error instanceof NumaError)) throw error;
    return error.code;
  }
}

const tasks = {
  where: () => cpusNow(),

  /** Busy for a while; then until it is ended at its event loop. */
  async work() {
    const end = performance.now() + 150;
    while (performance.now() < end);
    for (;;) await sleep(20);
  },

  leaveEarly: () => process.exit(3),

  leaveBusy() {
    parentPort?.postMessage("busy");
    const end = performance.now() + 150;
    while (performance.now() < end);
    process.exit(3);
  },

  /** A pin in a worker. */
  pins({ cpu = 0 }: PinTask) {
    const told = [cpusNow()];
    {
      using _pinned = pin(Policy.bindCpus(CpuSet.of(cpu)));
      told.push(cpusNow());
      {
        using _off = pin(Policy.unbound());
        told.push(cpusNow());
      }
      told.push(cpusNow(), unpinned(cpusNow), cpusNow());
    }
    return [...told, cpusNow()];
  },

  /** The application narrows this thread, which numakit has pinned: that is never widened. */
  async narrowed({ cpu = 0 }: PinTask) {
    pinThread(CpuSet.of(cpu));
    const told = [unpinned(cpusNow), cpusNow(), await nested()];
    const others = topology().allowedCpus;
    told.push(await nested(Policy.bindCpus(others)));
    told.push(await nested(Policy.bindCpus(others), "prefer"));
    told.push(attempt(() => pin(Policy.bindCpus(others))));
    using _unbound = pin(Policy.unbound());
    return [...told, cpusNow()];
  },

  /** In a process that taskset has put on one CPU: asks for another one in every way. */
  async confined({ cpu = 0 }: PinTask) {
    const other = Policy.bindCpus(CpuSet.of(cpu));
    const told = [cpusNow(), topology().allowedCpus.toString()];
    told.push(attempt(() => launch(module, { policy: other, args: { task: "where" } })));
    told.push(await nested(other, "prefer"), await nested(), await nested(Policy.compact()));
    const home = topology().nodeOfCpu(topology().allowedCpus.first as number);
    told.push(await nested(Policy.bindNode(home)));
    told.push(attempt(() => pin(other)), cpusNow());
    const prefer = { bind: { cpus: "prefer" } } as const;
    using pinned = pin(other, prefer);
    told.push(cpusNow(), pinned.binding.cpus.refused?.code ?? "", unpinned(cpusNow));
    told.push(topology({ refresh: true }).allowedCpus.toString());
    return told;
  },
};

export default worker((task: PinTask): unknown => tasks[task.task](task));
