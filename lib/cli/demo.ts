import { Buffer } from "node:buffer";
import colors from "picocolors";
import { Arena } from "../memory/arena/arena.ts";
import { formatBytes } from "../base/bytes.ts";
import { NumaError } from "../base/error.ts";
import { native } from "../runtime/native.ts";
import { launch } from "../sched/launch.ts";
import type { ThreadBinding } from "../sched/binding/binding.ts";
import { Policy } from "../sched/policies/policy.ts";
import { topology } from "../topology/load.ts";
import type { DemoReport } from "./demo_worker.ts";
import { summarizeSamples, timeBatch } from "./measure.ts";
import { write } from "./output.ts";
import { drawTopology, section } from "./topo.ts";

const COUNT = 100_000;
const BLOCK_BYTES = 1024;
const BATCH = 1000;

/** Something to keep results in, so that no engine leaves the work out. */
let sink: unknown;

function say(text: string): void {
  write(`${text}\n`);
}

function check(holds: boolean, text: string): void {
  if (!holds) throw new Error(`the demo did not hold: ${text}`);
  say(`  ${colors.green("✓")} ${text}`);
}

/** Something that this system does not let the demo show. */
function sayRefused({ why, fix = "" }: NumaError, what: string): void {
  say(`  ${colors.yellow("✗")} ${what}: ${why}. ${fix}`);
}

function placeArena(): Arena | undefined {
  let arena: Arena;
  try {
    arena = Arena.create({ node: 0, size: "64 MiB", pages: ["2m", "thp", "4k"] });
  } catch (error) {
    if (!(error instanceof NumaError) || error.code !== "EPERM") throw error;
    say(colors.bold("An arena on node 0"));
    sayRefused(error, "there is none here");
    return undefined;
  }
  const { nodes, pages, pageBytes } = arena.residency();
  say(colors.bold(`An arena of ${formatBytes(arena.capacity)}, strictly on node 0`));
  const onNode = nodes.get(0) ?? 0;
  check(
    onNode === pages,
    `the kernel has ${onNode} of ${pages} pages of ${formatBytes(pageBytes)} on node 0` +
      ` (asked for 2m, thp or 4k pages, got ${arena.pages})`,
  );
  return arena;
}

async function runWorker(arena: Arena | undefined): Promise<void> {
  say(
    colors.bold(`\nA worker pinned to node 0${arena === undefined ? "" : " that allocates in it"}`),
  );
  const thread = launch<DemoReport>(
    new URL(`./demo_worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url),
    { policy: Policy.bindNode(0), args: { arena, count: COUNT }, name: "demo" },
  );
  const report = await thread.join();
  const cpus = topology().cpusOfNode(0).intersection(topology().allowedCpus);
  check(report.affinity === cpus.toString(), `it may run on CPUs ${report.affinity}, node 0's`);
  check(report.node === 0, `it ran on CPU ${report.cpu} of node ${report.node}`);
  const { memory } = thread.binding as ThreadBinding;
  if (memory.refused === undefined) check(memory.got === 0, "its own heap comes from node 0");
  else sayRefused(memory.refused, "its own heap comes from wherever it runs");
  const place = arena === undefined ? "its own heap" : "the arena";
  check(report.sum === COUNT * (COUNT - 1) / 2, `it summed up ${COUNT} numbers in ${place}`);
  if (arena === undefined) return;
  check(
    arena.used === COUNT * 8,
    `the arena has ${formatBytes(arena.used)} in use, seen from here`,
  );
  arena.reset();
}

async function compareCosts(arena: Arena): Promise<void> {
  // A loop each, written out: an engine compiles it for what it does.
  const offsets = (): void => {
    for (let index = 0; index < BATCH; index++) sink = arena.alloc(BLOCK_BYTES);
    arena.reset();
  };
  const views = (): void => {
    for (let index = 0; index < BATCH; index++) sink = arena.allocUint8(BLOCK_BYTES);
    arena.reset();
  };
  const buffers = (): void => {
    for (let index = 0; index < BATCH; index++) sink = Buffer.allocUnsafe(BLOCK_BYTES);
  };
  const zeros = (): void => {
    for (let index = 0; index < BATCH; index++) sink = arena.allocUint8(BLOCK_BYTES).fill(0);
    arena.reset();
  };
  const arrays = (): void => {
    for (let index = 0; index < BATCH; index++) sink = new Uint8Array(BLOCK_BYTES);
  };
  const cost = async (batch: () => void): Promise<number> =>
    summarizeSamples(await timeBatch(batch, BATCH, 150)).median;
  const row = (name: string, ns: number, over?: number): string[] => [
    name,
    `${ns.toFixed(1)} ns`,
    over === undefined ? "" : `${(ns / over).toFixed(1)} times as much`,
  ];
  const view = await cost(views);
  const zeroed = await cost(zeros);
  say("");
  say(section(`What ${BLOCK_BYTES} bytes cost on ${native().backend}`, ["", "median", ""], [
    row(`arena.alloc(${BLOCK_BYTES}), an offset`, await cost(offsets)),
    row(`arena.allocUint8(${BLOCK_BYTES})`, view),
    row(`Buffer.allocUnsafe(${BLOCK_BYTES})`, await cost(buffers), view),
    row(`arena.allocUint8(${BLOCK_BYTES}).fill(0)`, zeroed),
    row(`new Uint8Array(${BLOCK_BYTES})`, await cost(arrays), zeroed),
  ]));
  if (sink === undefined) throw new Error("nothing was measured");
}

/**
 * Shows numakit's main job on this machine, step by step, and checks each step. Steps that the system forbids are
 * skipped, with a message that says how to allow them.
 *
 * @throws {NumaError} If a step fails.
 */
export async function runDemo(): Promise<void> {
  say(drawTopology(topology()));
  const arena = placeArena();
  try {
    await runWorker(arena);
    if (arena !== undefined) await compareCosts(arena);
  } finally {
    arena?.destroy();
  }
}
