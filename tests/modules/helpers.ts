// A process in which a pinned thread is the first to use fs, dns, crypto and zlib. Says which CPUs each of the process's
// threads may use when it is over. For tests/sched/thread_helpers_test.ts.
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { CpuSet, launch, Policy, topology } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { sibling } from "../support/checkout.ts";

const home = threadAffinity().toString();
const policy = Policy.bindCpus(CpuSet.of(topology().allowedCpus.last as number));
const thread = launch(sibling(import.meta.url, "../workers/helpers"), { policy, args: "use" });
await thread.join();
await sleep(50);
const elsewhere: string[] = [];
let count = 0;
for (const id of readdirSync("/proc/self/task")) {
  try {
    const status = readFileSync(`/proc/self/task/${id}/status`, "utf8");
    const [, name] = /Name:\t(.*)/.exec(status) ?? [];
    const [, cpus] = /Cpus_allowed_list:\t(.*)/.exec(status) ?? [];
    count++;
    if (cpus !== home) elsewhere.push(`${name} on ${cpus}`);
  } catch {
    // It has ended since.
  }
}
process.stdout.write(JSON.stringify({ home, count, elsewhere }));
