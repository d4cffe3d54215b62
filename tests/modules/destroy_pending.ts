// Destroys an arena that nobody uses, and one that a file is being read into (where that pins it: written from).
import fs from "node:fs";
import { Arena } from "../../mod.ts";

Arena.create({ node: 0, size: "4 MiB", label: "idle" }).destroy();
const arena = Arena.create({ node: 0, size: "4 MiB", label: "busy" });
const file = fs.openSync("/dev/zero", "r");
await new Promise<void>((resolve) => {
  fs.read(file, arena.bytes, 0, arena.bytes.length, null, () => resolve());
  arena.destroy();
});
fs.closeSync(file);
