/** The checkout's files, as tests of the tree itself read them. */
import { readdirSync, readFileSync } from "node:fs";
import { checkoutFile } from "./checkout.ts";

/** The text of a file, by its path from the checkout's root. */
export function textOf(file: string): string {
  return readFileSync(checkoutFile(file), "utf8");
}

/** Files below a folder whose names end so, as sorted paths from the checkout's root. */
export function filesIn(folder: string, ending: string): string[] {
  return readdirSync(checkoutFile(folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending)).map((name) => `${folder}/${name}`).sort();
}
