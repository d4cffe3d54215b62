/** Sees the machine, waits while somebody narrows its affinity, and plans threads. */
import { launch, pin, Policy, TaskPool, topology } from "../../mod.ts";
import { readSync } from "node:fs";

const TASK = "data:text/javascript,export default (n) => n; export const twice = (n) => n * 2";

topology();
console.log("ready");
readSync(0, new Uint8Array(8));
const thread = launch(TASK, { policy: Policy.compact() });
await thread.join();
const pinned = pin(Policy.compact());
const got = pinned.binding.cpus.got.text;
pinned.release();
const pool = await TaskPool.create(TASK, { per: "cpu" });
const { size } = pool;
await pool.terminate();
console.log(JSON.stringify({
  launched: thread.binding?.cpus.got.text,
  pinned: got,
  pool: size,
  seen: topology().allowedCpus.text,
}));
