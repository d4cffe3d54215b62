/**
 * The C helper's files depend on each other in one direction. A file is its `.c` and its `.h`; it depends on the files
 * whose headers it includes and whose functions it calls. What a file offers stands in its own header, or in numakit.h.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";

/** The sources by file, without comments and texts. */
function readSources(): Map<string, string> {
  const sources = new Map<string, string>();
  for (const name of readdirSync(checkoutFile("native/src"))) {
    const text = readFileSync(checkoutFile(`native/src/${name}`), "utf8")
      .replaceAll(/\/\*[^]*?\*\//g, "")
      .replaceAll(/(?<!#include )"(?:\\.|[^"\\\n])*"/g, '""');
    sources.set(name, text);
  }
  return sources;
}

const sources = readSources();
const nameOf = (file: string): string => file.replace(/\.[ch]$/, "");
const files = [...new Set([...sources.keys()].map(nameOf))].sort();

/** What a file is made of. */
function textOf(file: string): string {
  return (sources.get(`${file}.h`) ?? "") + (sources.get(`${file}.c`) ?? "");
}

/** The files that define the helper's functions, by the functions' names. */
const owners = new Map<string, string>();
for (const file of files) {
  const body = sources.get(`${file}.c`) ?? "";
  for (const [, name] of body.matchAll(/^(?!static)[a-z][^;{}()=]*?\b(nk_\w+)\([^;{}]*\)\s*\{/gm)) {
    owners.set(name as string, file);
  }
}

/** What a file includes and calls. */
function needs(file: string): Set<string> {
  const text = textOf(file);
  const included = [...text.matchAll(/#include "(\w+)\.h"/g)].map(([, name]) => name as string);
  const called = [...text.matchAll(/\bnk_\w+/g)].flatMap(([name]) => owners.get(name) ?? []);
  return new Set([...included, ...called].filter((name) => name !== file && name !== "numakit"));
}

/** A way from a file back to itself, or undefined. */
function findCircle(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next, [...path, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

describe("the C helper's files", () => {
  it("are in a circle when one needs another that needs it", () => {
    const graph = { a: ["b"], b: ["c", "d"], c: [], d: ["b"] };
    const sets = Object.entries(graph).map(([file, next]) => [file, new Set(next)] as const);
    assert.deepEqual(findCircle(new Map(sets)), ["b", "d", "b"]);
    assert.equal(findCircle(new Map(sets.slice(0, 3))), undefined);
  });

  it("are in no circle", () => {
    assert.ok(
      files.length > 20 && owners.size > 100,
      `${files.length} files, ${owners.size} functions`,
    );
    const graph = new Map(files.map((file) => [file, needs(file)]));
    const unknown = [...graph].flatMap(([file, next]) =>
      [...next].filter((name) => !files.includes(name)).map((name) => `${file}: ${name}.h`)
    );
    assert.deepEqual(unknown, []);
    assert.equal(findCircle(graph)?.join(" -> "), undefined);
  });

  it("declare what they offer in their own headers", () => {
    const contract = readFileSync(checkoutFile("native/include/numakit.h"), "utf8");
    const declares = (text: string | undefined, name: string): boolean =>
      new RegExp(`\\b${name}\\(`).test(text ?? "");
    const elsewhere = [...owners].filter(([name, file]) =>
      !declares(sources.get(`${file}.h`), name) && !declares(contract, name)
    );
    assert.deepEqual(elsewhere, []);
  });
});
