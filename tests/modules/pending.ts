// Destroys arenas while the runtime's native code works on their views, makes others at once, and says whether any byte
// of those was read or written: ROUNDS rounds of each consumer, as JSON.
import process from "node:process";
import { Arena } from "../../mod.ts";
import { type Consumer, openConsumers } from "../support/consumers.ts";

/** More than sockets and pipes take at once. */
const BYTES = 2 ** 22;
const OLD = 0x11;
const NEW = 0xa7;
/** An operation that says nothing of its end by then has lost its view; where one did, the next get less. */
const PATIENCE_MS = 2000;
const LESS_PATIENCE_MS = 30;

interface Report {
  ended: number;
  failed: number;
  silent: number;
  readOther: number;
  wroteOther: number;
}

let stray: () => void = () => {};
// What a runtime's own code throws because a view is gone, and nobody can catch.
process.on("unhandledRejection", () => stray());
process.on("uncaughtException", () => stray());

/** How an operation ended. */
async function settle(
  operation: Promise<Uint8Array | undefined>,
  patienceMs: number,
): Promise<Uint8Array | "failed" | "silent" | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<"silent" | "failed">((resolve) => {
    timer = setTimeout(() => resolve("silent"), patienceMs);
    stray = () => resolve("failed");
  });
  const outcome = await Promise.race([operation.catch(() => "failed" as const), silence]);
  clearTimeout(timer);
  stray = () => {};
  return outcome;
}

const expected = new Uint8Array(BYTES).fill(NEW);

async function round(consumer: Consumer, report: Report): Promise<void> {
  const { input, late, writes } = consumer;
  const arena = Arena.create({ node: 0, size: BYTES });
  const view = arena.bytes;
  if (input === undefined) view.fill(OLD);
  else view.set(input(BYTES));
  let begun: () => void = () => {};
  const hasBegun = new Promise<void>((resolve) => begun = resolve);
  let replace: () => void = () => {};
  const replaced = new Promise<void>((resolve) => replace = resolve);
  const operation = consumer.start(view, { begun, replaced });
  operation.catch(begun);
  // One that never begins has nothing to do with the view.
  if (late === true) await settle(hasBegun.then(() => undefined), PATIENCE_MS);
  arena.destroy();
  using other = Arena.create({ node: 0, size: BYTES });
  other.bytes.fill(NEW);
  replace();
  const outcome = await settle(operation, report.silent > 0 ? LESS_PATIENCE_MS : PATIENCE_MS);
  if (outcome === "failed") report.failed++;
  else if (outcome === "silent") report.silent++;
  else report.ended++;
  if (outcome instanceof Uint8Array && writes !== true && outcome.includes(NEW)) report.readOther++;
  if (Buffer.compare(other.bytes, expected) !== 0) report.wroteOther++;
}

async function main(rounds: number, only: string | undefined): Promise<Record<string, Report>> {
  const { all, close } = await openConsumers();
  const reports: Record<string, Report> = {};
  for (const consumer of all) {
    if (only !== undefined && consumer.name !== only) continue;
    const report = { ended: 0, failed: 0, silent: 0, readOther: 0, wroteOther: 0 };
    reports[consumer.name] = report;
    process.stderr.write(`${consumer.name}\n`);
    for (let count = 0; count < rounds; count++) await round(consumer, report);
  }
  close();
  return reports;
}

// The handlers above would hide what fails here.
try {
  const reports = await main(Number(process.env["ROUNDS"] ?? 20), process.env["CONSUMER"]);
  process.stdout.write(JSON.stringify(reports));
  process.exit(0);
} catch (error) {
  console.error(error);
  process.exit(1);
}
