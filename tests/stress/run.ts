/**
 * Tortures all locks for long, and terminates many holders of a mutex:
 * tests/stress/run.ts [--seconds N] [--threads N] [--terminations N] [--seed N] [--quota CPUS] [--hang SECONDS]
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { topology } from "../../mod.ts";
import { Quota } from "../support/quota.ts";
import { LOCKS } from "./locks.ts";
import { terminateHolders } from "./terminations.ts";
import { tortureLock } from "./torture.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    threads: { type: "string", default: String(4 * topology().effectiveCpus) },
    terminations: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    quota: { type: "string" },
    hang: { type: "string", default: "10" },
  },
});
const ms = Number(values.seconds) * 1000;
const threads = Number(values.threads);
const terminations = Number(values.terminations);

using quota = values.quota === undefined ? undefined : quotaOf(Number(values.quota));

function quotaOf(cpus: number): Quota {
  const quota = Quota.set(cpus);
  if (typeof quota === "string") throw new Error(quota);
  return quota;
}

for (const { name, make, robust } of ms > 0 ? LOCKS : []) {
  const done = await tortureLock({
    lock: make(),
    threads,
    ms,
    seed: Number(values.seed),
    kills: robust,
    hangMs: Number(values.hang) * 1000,
  });
  process.stdout.write(`${name}, ${threads} threads: ${JSON.stringify(done)}\n`);
  if (done.violations > 0) process.exitCode = 1;
}
if (terminations > 0) {
  const { killed, heirs, waitsMs } = await terminateHolders(terminations);
  const at = (share: number): string =>
    (waitsMs[Math.floor(share * (waitsMs.length - 1))] as number).toFixed(1);
  process.stdout.write(
    `terminated ${JSON.stringify(killed)}: ${heirs} heirs were told; the next one had the mutex ` +
      `after ${at(0.5)} ms (median), ${at(0.99)} (p99), ${at(1)} (most)\n`,
  );
  if (heirs !== terminations) process.exitCode = 1;
}
if (quota !== undefined) process.stdout.write(`stopped ${quota.throttled} times by the quota\n`);
