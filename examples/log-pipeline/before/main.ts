/** The same pipeline over messages. */
import { Latch, launch, Policy, type Thread } from "@numakit/numakit";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { readOptions } from "../options.ts";
import { printReport } from "../report.ts";
import { reportOf, sumOf, type Tally } from "./tally.ts";
import type { StageArgs } from "./worker.ts";

const STAGES = ["source", "parse", "enrich", "aggregate"] as const;

const { lines, threads, json, carries } = readOptions();
const ready = Latch.create(new SharedArrayBuffer(Latch.bytes()), 3 * threads);

/** The ports of each thread of each stage; each thread is joined to each one of the next stage. */
const ends = STAGES.map((stage) =>
  Array.from({ length: stage === "source" ? 1 : threads }, () => ({
    inputs: [] as MessagePort[],
    outputs: [] as MessagePort[],
  }))
);
for (const [index, froms] of ends.slice(0, -1).entries()) {
  for (const from of froms) {
    for (const to of ends[index + 1] ?? []) {
      const { port1, port2 } = new MessageChannel();
      from.outputs.push(port1);
      to.inputs.push(port2);
    }
  }
}

function start(
  stage: number,
  { inputs, outputs }: { inputs: MessagePort[]; outputs: MessagePort[] },
): Thread {
  return launch(new URL("./worker.ts", import.meta.url), {
    policy: Policy.compact(),
    args: { stage: STAGES[stage]!, carries, lines, ready, inputs, outputs } satisfies StageArgs,
    transfer: [...inputs, ...outputs],
  });
}

const all = ends.flatMap((stage, index) => stage.map((ports) => start(index, ports)));
const results = await Promise.all(all.map((thread) => thread.join()));
const elapsedMs = Date.now() - (results[0] as number);
printReport(reportOf(sumOf(results.slice(-threads) as Tally[])), elapsedMs, json);
