/**
 * Pools of others, as their documentation says to use them, with the same tasks: what `bench/tasks.ts` compares with.
 *
 * bench/pools/pools.ts NAME     runs one task in such a pool, and exits with 0 when the answer is right
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { unpinned } from "../../mod.ts";
import { CPUS } from "./pin.ts";

/** A pool with the tasks of `bench/pools/functions.ts`. */
export interface BenchPool {
  add(a: number, b: number): Promise<unknown>;
  empty(): Promise<unknown>;
  /** The CPU that a worker runs on. */
  where(): Promise<unknown>;
  close(): Promise<unknown>;
}

const pathOf = (file: string): string => fileURLToPath(new URL(`./${file}`, import.meta.url));

/** Neither queues without end nor idle workers are what is compared. */
const NEVER_MS = 2 ** 31 - 1;

async function piscina(threads: number): Promise<BenchPool> {
  const { Piscina } = await import("piscina");
  const filename = pathOf("piscina.ts");
  const size = { minThreads: threads, maxThreads: threads, idleTimeout: NEVER_MS };
  const pool = unpinned(() => new Piscina({ filename, ...size }));
  const [add, empty, where] = [{ name: "add" }, { name: "empty" }, { name: "where" }];
  return {
    add: (a, b) => pool.run([a, b], add),
    empty: () => pool.run(undefined, empty),
    where: () => pool.run(undefined, where),
    close: () => pool.destroy(),
  };
}

async function tinypool(threads: number): Promise<BenchPool> {
  const { Tinypool } = await import("tinypool");
  const filename = pathOf("piscina.ts");
  const size = { minThreads: threads, maxThreads: threads, idleTimeout: NEVER_MS };
  const pool = unpinned(() => new Tinypool({ filename, ...size }));
  const [add, empty, where] = [{ name: "add" }, { name: "empty" }, { name: "where" }];
  return {
    add: (a, b) => pool.run([a, b], add),
    empty: () => pool.run(undefined, empty),
    where: () => pool.run(undefined, where),
    close: () => pool.destroy(),
  };
}

async function poolifier(threads: number): Promise<BenchPool> {
  const { FixedThreadPool } = await import("poolifier");
  const pool = unpinned(() =>
    new FixedThreadPool<unknown, unknown>(threads, pathOf("poolifier.ts"))
  );
  return {
    add: (a, b) => pool.execute([a, b], "add"),
    empty: () => pool.execute(undefined, "empty"),
    where: () => pool.execute(undefined, "where"),
    close: () => pool.destroy(),
  };
}

async function workerpool(threads: number): Promise<BenchPool> {
  const { pool: open } = await import("workerpool");
  const size = { minWorkers: threads, maxWorkers: threads };
  const pool = unpinned(() => open(pathOf("workerpool.ts"), { workerType: "thread", ...size }));
  return {
    add: async (a, b) => await pool.exec("add", [a, b]),
    empty: async () => await pool.exec("empty", []),
    where: async () => await pool.exec("where", []),
    close: async () => await pool.terminate(true),
  };
}

/** A worker and messages, and no pool. */
function messages(): Promise<BenchPool> {
  const worker = unpinned(() => new Worker(pathOf("port.ts")));
  const ask = (name: string, values?: readonly number[]): Promise<unknown> => {
    worker.postMessage([name, values]);
    return new Promise((resolve) => worker.once("message", resolve));
  };
  return Promise.resolve({
    add: (a, b) => ask("add", [a, b]),
    empty: () => ask("empty"),
    where: () => ask("where"),
    close: () => worker.terminate(),
  });
}

/** The pools of others, by their names in tables; and what one has without a pool, for one task at a time. */
export const POOLS: Readonly<Record<string, (threads: number) => Promise<BenchPool>>> = {
  ...{ postMessage: messages, piscina, tinypool, poolifier, workerpool },
};

/** How long a pool may take for its first task. */
const PROBE_MS = 20_000;

/**
 * Tries a pool out, in a process of its own: some do not start on some runtimes, or never answer.
 *
 * @param name One of {@linkcode POOLS}.
 * @returns Why it cannot be measured here; undefined when it can.
 */
export function whyNot(name: string): string | undefined {
  const flags = "Deno" in globalThis ? ["run", "--allow-all"] : process.execArgv;
  const command = [...flags, fileURLToPath(import.meta.url), name];
  const { status, stderr, error } = unpinned(() =>
    spawnSync(process.execPath, command, { encoding: "utf8", timeout: PROBE_MS })
  );
  if (status === 0) return undefined;
  if (error !== undefined || status === null) return "does not run here: it never answers";
  const said = stderr.split("\n").find((line) => /\w*Error\b/.test(line)) ?? `status ${status}`;
  return `does not run here: ${said.trim().slice(0, 120)}`;
}

async function probe(name: string): Promise<void> {
  process.env[CPUS] ??= "0";
  const pool = await (POOLS[name] as NonNullable<typeof POOLS[string]>)(1);
  const sum = await pool.add(1, 2);
  // Some leave threads behind that keep a process alive.
  process.exit(sum === 3 ? 0 : 1);
}

const [, main, wanted] = process.argv;
if (main === fileURLToPath(import.meta.url) && wanted !== undefined) {
  try {
    await probe(wanted);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.stack : `Error: ${error}`}\n`);
    process.exit(1);
  }
}
