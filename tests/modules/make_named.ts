// Makes the arena that NAME names, and is killed.
import process from "node:process";
import { Arena } from "../../mod.ts";

const arena = Arena.create({ node: 0, size: "1 MiB", name: process.env["NAME"] as string });
arena.allocUint8(1).fill(1);
console.log("made");
process.kill(process.pid, "SIGKILL");
