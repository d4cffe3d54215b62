// Launches a thread, and says what came of it. For tests/sched/entry_url_test.ts.
import process from "node:process";
import { launch } from "../../mod.ts";

const url = process.argv[2] ??
  "data:text/javascript,export default () => globalThis['cameThrough']";
try {
  process.stdout.write(`${await launch<unknown>(url).join()}\n`);
} catch (error) {
  const { name, code, message } = error as { name: string; code: string; message: string };
  process.stdout.write(`${name} ${code} ${message}\n`);
}
