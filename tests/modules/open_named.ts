// Opens the arena that NAME names, says what is in it, writes, allocates, and ends or is ended.
import process from "node:process";
import { Arena, NumaError } from "../../mod.ts";

const name = process.env["NAME"] as string;
try {
  for (let times = Number(process.env["TIMES"] ?? 1); times > 1; times--) {
    Arena.open(name).destroy();
  }
  const arena = Arena.open(name);
  const { node, pages, capacity, used } = arena;
  console.log(JSON.stringify({ node, pages, capacity, used, first: arena.bytes[0] }));
  arena.bytes[1] = 99;
  if (process.env["CLAIM"] === "1") arena.alloc(16);
  if (process.env["CRASH"] === "1") process.kill(process.pid, "SIGKILL");
  arena.destroy();
} catch (error) {
  if (!(error instanceof NumaError)) throw error;
  console.log(error.code, error.message);
}
