// Opens the arena that NAME names; when told to, makes another one of that name, and waits to be killed.
import process from "node:process";
import { Arena } from "../../mod.ts";

const name = process.env["NAME"] as string;
const first = Arena.open(name);
console.log(`opened ${first.bytes[0]}`);
process.stdin.on("data", () => {
  const second = Arena.create({ node: 0, size: 8192, name });
  second.bytes[0] = 2;
  console.log("made");
});
