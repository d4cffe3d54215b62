/**
 * Where locks go, on a machine with several nodes:
 * tests/stress/hand_offs.ts [--threads N] [--seconds N] [--patience MS] [--lock NAME]...
 *
 * For a guest: scripts/numa_vm --nodes 4 -- .tools/bin/bun tests/stress/hand_offs.ts --patience 5000. An emulated second
 * is long: the first of them go by before the threads' code is compiled, and are not counted; and ten milliseconds are a
 * few acquisitions, after which everybody would be impatient.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { CpuSet, launch, Policy, topology } from "../../mod.ts";
import { EXCLUSIVE } from "../support/locks.ts";
import type { LockTask } from "../workers/locks.ts";

const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "8" },
    seconds: { type: "string", default: "10" },
    patience: { type: "string", default: "10" },
    lock: { type: "string", multiple: true, default: ["Mutex", "McsLock", "CnaLock"] },
  },
});
const threads = Number(values.threads);
/** Locks take no notice of others' options. */
const options = { statistics: true, patienceMs: Number(values.patience) };

for (const side of EXCLUSIVE.filter(({ name }) => values.lock.includes(name))) {
  const lock = side.lock(undefined, options);
  const words = new Int32Array(new SharedArrayBuffer(16));
  const cpus = [...topology().allowedCpus];
  const running = Array.from({ length: threads }, (_, index) => {
    const policy = Policy.bindCpus(CpuSet.of(cpus[index % cpus.length] as number));
    const args: LockTask = { task: "until told", lock, words };
    return launch<number>(new URL("../workers/locks.ts", import.meta.url), { policy, args });
  });
  while (Atomics.load(words, 1) < threads) await sleep(5);
  Atomics.store(words, 3, 1);
  Atomics.notify(words, 3);
  await sleep(Number(values.seconds) * 500);
  const before = lock.statistics;
  await sleep(Number(values.seconds) * 500);
  const after = lock.statistics;
  Atomics.store(words, 2, 1);
  for (const thread of running) await thread.join();
  if (before === undefined || after === undefined) throw new Error("no statistics");
  const acquisitions = after.acquisitions - before.acquisitions;
  const across = after.handoffsAcross - before.handoffsAcross;
  process.stdout.write(
    `${side.name}, ${threads} threads in ${topology().domains.length} domains: ${acquisitions} ` +
      `acquisitions, ${(100 * across / acquisitions).toFixed(1)} % from another domain\n`,
  );
}
