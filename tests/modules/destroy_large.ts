// What tests/memory/pinned_views_test.ts runs: how much memory it takes to destroy a large arena that is in use, in MiB.
import { readFileSync } from "node:fs";
import zlib from "node:zlib";
import { Arena } from "../../mod.ts";

function mostKib(): number {
  const [, kib] = /VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kib);
}

const arena = Arena.create({ node: 0, size: 2 ** 20, reserve: "512 MiB" });
const before = mostKib();
zlib.deflate(arena.view(0, 2 ** 20), () => {});
arena.destroy();
console.log(Math.floor((mostKib() - before) / 1024));
