/** Tries what a program needs, and tells of each whether it works, as JSON. */
import { Arena, launch, McsLock, Policy, TaskPool, topology } from "../../mod.ts";

const TASK = "data:text/javascript,export default (n) => n; export const twice = (n) => n * 2";

async function tell(call: () => unknown): Promise<string> {
  try {
    return `${await call()}`;
  } catch (error) {
    const { code, message } = error as { code?: string; message?: string };
    return `${code}: ${message}`;
  }
}

const last = (): number => topology().allowedCpus.last as number;

console.log(JSON.stringify({
  sees: await tell(() => topology().summary()),
  arena: await tell(() => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    return arena.allocUint8(16).fill(1).length === 16;
  }),
  lock: await tell(() => {
    const lock = McsLock.create(new SharedArrayBuffer(1 << 16));
    lock.acquire();
    lock.release();
    return true;
  }),
  launch: await tell(async () => {
    const thread = launch(TASK, { policy: Policy.bindCpus(String(last())), args: 7 });
    return await thread.join() === 7;
  }),
  pool: await tell(async () => {
    const pool = await TaskPool.create(TASK, { threads: 1 });
    const got = await pool.run("twice", [4]);
    await pool.terminate();
    return got === 8;
  }),
}));
