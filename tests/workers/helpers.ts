// The first of a process to use what runtimes do in shared threads: for tests/modules/helpers.ts.
import { Buffer } from "node:buffer";
import { spawn, spawnSync } from "node:child_process";
import { pbkdf2, randomBytes } from "node:crypto";
import { lookup } from "node:dns";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { launch, Policy, unpinned, worker } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { sibling } from "../support/checkout.ts";

const STATUS = "/proc/self/status";
const TINY_WASM = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 4, 1, 2, 0, 11];

async function useAll(): Promise<void> {
  const eight = Array.from({ length: 8 });
  const garbage: unknown[] = [];
  for (let index = 0; index < 500_000; index++) garbage[index % 100_000] = { index };
  const { Bun, WebAssembly } = globalThis as unknown as {
    Bun?: { gc(wait: boolean): void };
    WebAssembly: { compile(bytes: Uint8Array): Promise<unknown> };
  };
  Bun?.gc(true);
  await Promise.all([
    ...eight.map(() => readFile(STATUS)),
    ...eight.map(() => promisify(deflate)(Buffer.alloc(2 ** 18))),
    ...eight.map(() => promisify(pbkdf2)("secret", "salt", 100, 32, "sha256")),
    promisify(randomBytes)(2 ** 16),
    promisify(lookup)("localhost").catch(() => {}),
    fetch("http://127.0.0.1:1/").catch(() => {}),
    WebAssembly.compile(new Uint8Array(TINY_WASM)),
  ]);
}

/** The CPUs that a child process is born with, which it tells itself. */
function childSync(): string {
  return cpusOf(spawnSync("cat", [STATUS], { encoding: "utf8" }).stdout);
}

function child(): Promise<string> {
  return unpinned(() => {
    const { stdout } = spawn("cat", [STATUS]);
    return new Promise((resolve) => {
      let text = "";
      stdout.on("data", (chunk) => text += chunk).on("end", () => resolve(cpusOf(text)));
    });
  });
}

function cpusOf(status: string): string {
  return /Cpus_allowed_list:\t(.*)/.exec(status)?.[1] ?? status;
}

export default worker(async (task: "use" | "spawn" | "where"): Promise<Record<string, string>> => {
  if (task === "where") return { cpus: threadAffinity().toString() };
  if (task === "use") {
    await useAll();
    return {};
  }
  const inherits = childSync();
  const sync = unpinned(childSync);
  let thrown = "";
  try {
    unpinned(() => {
      throw new RangeError("out of the call");
    });
  } catch (error) {
    thrown = String(error);
  }
  const nested = launch<{ cpus: string }>(sibling(import.meta.url, "./helpers"), { args: "where" });
  const placed = launch<{ cpus: string }>(sibling(import.meta.url, "./helpers"), {
    args: "where",
    policy: Policy.bindCpus(threadAffinity()),
  });
  return {
    inherits,
    sync,
    async: await child(),
    thrown,
    nested: (await nested.join()).cpus,
    placed: (await placed.join()).cpus,
    after: threadAffinity().toString(),
  };
});
