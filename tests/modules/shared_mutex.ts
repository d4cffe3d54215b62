// Uses the mutex at OFFSET of the arena that NAME names; counts under it, holds it until it is killed, or waits for it.
import process from "node:process";
import { Arena } from "../../mod.ts";
import { SharedMutex } from "../../lib/sync/locks/shared_mutex.ts";

const { NAME, OFFSET, TASK, TIMES } = process.env;
const arena = Arena.open(NAME as string);
const lock = SharedMutex.open(arena, Number(OFFSET));
const count = new Int32Array(arena.bytes.buffer, arena.bytes.byteOffset, 1);

if (TASK === "count") {
  for (let turn = 0; turn < Number(TIMES); turn++) {
    using _guard = lock.acquire({ block: true });
    count[0] = (count[0] as number) + 1;
  }
} else if (TASK === "inherit") {
  console.log("held"); // The arena: the mutex is another's.
  using guard = lock.acquire({ block: true });
  console.log(`owner died: ${guard.ownerDied}`);
} else {
  lock.acquire();
  if (TASK === "garbage") arena.bytes.fill(0x55);
  console.log("held");
  // Ends by itself only when something else has gone wrong.
  if (TASK !== "leave") setTimeout(() => {}, 60_000);
}
