// Opens the arena that NAME names in two threads at once, many times: it has to be one mapping of this process.
import process from "node:process";
import { Arena, launch } from "../../mod.ts";
import type { OpenedByName } from "../workers/open_named.ts";

const name = process.env["NAME"] as string;
const worker = new URL(
  `../workers/open_named.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`,
  import.meta.url,
);
const outcomes: boolean[] = [];
for (let round = 0; round < 3; round++) {
  const threads = [0, 1].map(() => launch<OpenedByName>(worker, { args: { name } }));
  // Held here, so that both have to find the same one.
  const arena = Arena.open(name);
  const { identity } = arena.toHandle().data as { identity: number };
  const found = await Promise.all(threads.map((thread) => thread.join()));
  outcomes.push(found.every((one) => one.identity === identity && one.same));
  arena.destroy();
}
console.log(JSON.stringify(outcomes));
