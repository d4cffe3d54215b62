/**
 * Loaded before the test files on Deno and Node (scripts/lib/runtimes.ts): a test can't end its process. The tests that
 * were still to come would be lost, and both report what is left as a success. Bun writes no report then.
 */
import process from "node:process";
import { isMainThread } from "node:worker_threads";

function refuse(status?: unknown): never {
  throw new Error(
    `can't exit with status ${
      status ?? process.exitCode ?? 0
    } in a test: the tests after it would be lost; ` +
      "run what exits in a process of its own (runModule of tests/support/checkout.ts)",
  );
}

// Threads may end themselves: some tests are about that.
if (isMainThread) {
  process.exit = refuse;
  const { Deno } = globalThis as { Deno?: { exit: typeof refuse } };
  if (Deno !== undefined) Deno.exit = refuse;
}
