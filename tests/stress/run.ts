/** Tortures all locks for long, and terminates many holders of each that is robust. */
import process from "node:process";
import { parseArgs } from "node:util";
import { topology } from "../../mod.ts";
import { EXCLUSIVE } from "../support/locks.ts";
import { Quota } from "../support/quota.ts";
import { terminateHolders } from "./terminations.ts";
import { tortureLock } from "./torture.ts";

const USAGE = `tests/stress/run.ts [OPTION]...

  --seconds N       how long each lock is tortured. Default: 10
  --threads N       Default: four for each CPU
  --terminations N  how many holders of each robust lock are terminated. Default: 100
  --seed N          Default: 1
  --quota CPUS      under a cgroup's quota
  --hang SECONDS    without a turn, it is a hang. Default: 60
  --lock NAME       only locks whose names begin so
`;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    threads: { type: "string", default: String(4 * topology().effectiveCpus) },
    terminations: { type: "string", default: "100" },
    seed: { type: "string", default: "1" },
    quota: { type: "string" },
    hang: { type: "string", default: "60" },
    lock: { type: "string", default: "" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const ms = Number(values.seconds) * 1000;
const threads = Number(values.threads);
const terminations = Number(values.terminations);

using quota = values.quota === undefined ? undefined : quotaOf(Number(values.quota));

function quotaOf(cpus: number): Quota {
  const quota = Quota.set(cpus);
  if (typeof quota === "string") throw new Error(quota);
  return quota;
}

const tortured = EXCLUSIVE.filter(({ name }) => name.startsWith(values.lock));
if (tortured.length === 0) throw new Error(`there is no lock "${values.lock}"`);
for (const { name, lock, robust } of ms > 0 ? tortured : []) {
  const done = await tortureLock({
    lock: lock(),
    threads,
    ms,
    seed: Number(values.seed),
    kills: robust,
    hangMs: Number(values.hang) * 1000,
  });
  process.stdout.write(`${name}, ${threads} threads: ${JSON.stringify(done)}\n`);
  if (done.violations > 0) process.exitCode = 1;
}
for (const { name, lock } of terminations > 0 ? tortured.filter(({ robust }) => robust) : []) {
  const { killed, heirs, waitsMs } = await terminateHolders(lock(), terminations);
  const at = (share: number): string =>
    (waitsMs[Math.floor(share * (waitsMs.length - 1))] as number).toFixed(1);
  process.stdout.write(
    `${name}, terminated ${
      JSON.stringify(killed)
    }: ${heirs} heirs were told; the next one had it ` +
      `after ${at(0.5)} ms (median), ${at(0.99)} (p99), ${at(1)} (most)\n`,
  );
  if (heirs !== terminations) process.exitCode = 1;
}
if (quota !== undefined) process.stdout.write(`stopped ${quota.throttled} times by the quota\n`);
