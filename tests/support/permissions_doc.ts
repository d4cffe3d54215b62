import { readFileSync } from "node:fs";
import { checkoutFile } from "./checkout.ts";

/**
 * The rows of the tables of docs/permissions.md.
 *
 * @param section The heading they are under.
 * @returns The flags, by what they are for.
 */
export function documentedFlags(section: "Deno" | "Node"): Map<string, string[]> {
  const text = readFileSync(checkoutFile("docs/permissions.md"), "utf8");
  const part = text.split("\n## ").find((part) => part.startsWith(section)) ?? "";
  const rows = part.matchAll(/^\| (\S.*?) +\| (?:`(--[^`]*)`|none.*?) +\|$/gm);
  return new Map([...rows].map(([, what, flags]) => [what as string, flags?.split(" ") ?? []]));
}
