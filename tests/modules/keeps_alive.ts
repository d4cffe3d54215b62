// Launches a thread and does nothing more: the process has to live until the thread has ended, and no longer.
import process from "node:process";
import { launch } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";

const thread = launch(sibling(import.meta.url, "../workers/messages"), {
  args: { task: "post", values: ["a message"] },
});
thread.on("message", (value) => process.stdout.write(`${value}\n`));
process.on("exit", () => process.stdout.write(`${thread.state}\n`));
