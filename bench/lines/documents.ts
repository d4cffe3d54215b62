/**
 * The tables and the chart of docs/evidence.md, and the README's table: made from docs/evidence.json.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chart } from "./chart.ts";
import {
  countedTables,
  type Evidence,
  firstScreen,
  modelledTable,
  originLine,
  sourcesTable,
} from "./report.ts";

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url));

const DATA = "docs/evidence.json";

/** What stands between marks in documents: by document and mark. */
const PARTS = {
  "docs/evidence.md": {
    origin: originLine,
    counted: countedTables,
    modelled: modelledTable,
    sources: sourcesTable,
  },
  "README.md": { evidence: firstScreen },
} as const;

/** What the documents show. */
export function readEvidence(): Evidence {
  return JSON.parse(readFileSync(path(DATA), "utf8")) as Evidence;
}

/** Puts a part between its marks. */
function replaced(text: string, mark: string, part: string): string {
  const [begin, end] = [`<!-- ${mark}: generated -->`, `<!-- ${mark}: end -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`there is no place for "${mark}"`);
  const [keep, again] = ["<!-- deno-fmt-ignore-start -->", "<!-- deno-fmt-ignore-end -->"];
  return `${text.slice(0, from + begin.length)}\n\n${keep}\n\n${part}\n\n${again}\n\n${
    text.slice(to)
  }`;
}

/**
 * Makes the documents' generated parts anew.
 *
 * @param evidence What was counted.
 * @returns The texts of the files, by name.
 */
export async function documents(evidence: Evidence): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const [name, parts] of Object.entries(PARTS)) {
    let text = readFileSync(path(name), "utf8");
    for (const [mark, make] of Object.entries(parts)) {
      text = replaced(text, mark, make(evidence));
    }
    files.set(name, text);
  }
  files.set("docs/evidence.svg", await chart(evidence.rows));
  return files;
}

/** Writes what was counted into a file. */
export function writeEvidence(file: string, evidence: Evidence): void {
  writeFileSync(file, `${JSON.stringify(evidence, null, 2)}\n`);
}

/** Writes what was counted, and the documents made from it. */
export async function writeDocuments(evidence: Evidence): Promise<void> {
  writeEvidence(path(DATA), evidence);
  for (const [name, text] of await documents(evidence)) writeFileSync(path(name), text);
}
