import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { filesIn, textOf } from "../support/sources.ts";

/** Wording that is not plain English, and what to write instead. */
const WRONG: readonly { readonly pattern: RegExp; readonly instead: string }[] = [
  { pattern: /\bunless given\b/i, instead: '"Default: 64."' },
  { pattern: /\bfor whom\b/i, instead: '"Options of …" or "The number of threads …"' },
  { pattern: /\bfor ever\b|\bneighbour/i, instead: '"forever", "neighbor"' },
  { pattern: /\bSo long\b/, instead: '"As long as …"' },
  // A sentence, and no question.
  { pattern: /(?:^|[.:;] |@\w+ (?:\w+ )?)Who\b(?![^.]*\?)/, instead: '"A thread that …"' },
];

interface Sentence {
  readonly place: string;
  readonly text: string;
}

/** What users read of a module: its documentation comments and its texts, each on one line. */
function textsOfModule(file: string): Sentence[] {
  const source = textOf(file);
  const place = (index: number): string => `${file}:${source.slice(0, index).split("\n").length}`;
  const comments = [...source.matchAll(/\/\*\*([\s\S]*?)\*\//g)].flatMap((
    { index, 1: body = "" },
  ) =>
    body.replace(/^\s*\* ?/gm, "").split(/\n\s*\n|\n(?=@)/)
      .map((text) => ({ place: place(index), text: text.replace(/\s+/g, " ").trim() }))
  );
  const strings = [...source.matchAll(/"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g)]
    .filter(({ index }) =>
      !/^\s*(?:\*|\/\/|\/\*)/.test(source.slice(source.lastIndexOf("\n", index) + 1))
    )
    .map(({ index, 0: text }) => ({ place: place(index), text: text.slice(1, -1) }));
  return [...comments, ...strings];
}

/** The paragraphs of a page. */
function textsOfPage(file: string): Sentence[] {
  let line = 1;
  return textOf(file).split(/\n\s*\n|\n(?=\s*[-|])/).map((text) => {
    const place = `${file}:${line}`;
    line += text.split("\n").length;
    return { place, text: text.replace(/\s+/g, " ").replace(/^ ?[-|] ?/, "") };
  });
}

const modules = ["mod.ts", "worker_entry.ts", ...filesIn("lib", ".ts")];
const pages = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "lib/runtime/README.md"],
  ...["native/README.md", "native/counter/README.md"],
  ...filesIn("docs", ".md"),
  ...filesIn("examples", ".md"),
];

describe("what users read", () => {
  const texts = [...modules.flatMap(textsOfModule), ...pages.flatMap(textsOfPage)];

  it("was found", () => {
    assert.ok(texts.length > 2000, `${texts.length} texts`);
  });

  for (const { pattern, instead } of WRONG) {
    it(`is in plain English, without ${pattern.source}`, () => {
      const wrong = texts.filter(({ text }) => pattern.test(text))
        .map(({ place, text }) => `${place}: ${text.slice(0, 100)}`);
      assert.deepEqual(wrong, [], `write ${instead}`);
    });
  }

  it("would be noticed", () => {
    for (
      const bad of [
        "64 unless given.",
        "For whom a lock is made, and what it tells.",
        "So long as it lives.",
        "It is kept for ever.",
        "Neighbouring pages.",
        "It ends. Who waits is told.",
        "@param me Who.",
      ]
    ) {
      assert.ok(WRONG.some(({ pattern }) => pattern.test(bad)), bad);
    }
    assert.ok(!WRONG.some(({ pattern }) => pattern.test("Who holds it? A thread.")));
  });
});
