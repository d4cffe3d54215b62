// Writes to the map at OFFSET of the arena that NAME names, until it is killed; or as often as TIMES says.
import process from "node:process";
import { Arena, HashMap } from "../../mod.ts";
import { KEYS, valueOf } from "../support/shared_map.ts";

const { NAME, OFFSET, TASK, SEED, TIMES = "Infinity" } = process.env;
const arena = Arena.open(NAME as string);
const map = HashMap.open<number, Uint8Array>(arena, Number(OFFSET));
let random = Number(SEED);
const below = (limit: number): number => {
  random = (Math.imul(random, 1664525) + 1013904223) >>> 0;
  return Math.floor(random / 2 ** 32 * limit);
};

/** How many updates it makes before it ends within one. */
const fuse = TASK === "inside" ? below(300) : Infinity;
console.log("writes");
for (let turn = 0; turn < Number(TIMES); turn++) {
  const key = below(KEYS);
  const what = below(4);
  if (turn >= fuse || what === 0) {
    map.update(key, () => {
      if (turn >= fuse) process.kill(process.pid, "SIGKILL");
      return valueOf(turn);
    });
  } else if (what === 1) map.delete(key);
  else map.set(key, valueOf(turn));
  if (TASK === "count") {
    map.update(KEYS, (value = new Uint8Array(40)) => {
      new DataView(value.buffer).setUint32(0, new DataView(value.buffer).getUint32(0) + 1);
      return value;
    });
  }
}
