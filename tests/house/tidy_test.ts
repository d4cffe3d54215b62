import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";

const MAX_LINES = 520;

const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], {
  cwd: checkoutFile("."),
  encoding: "utf8",
}).trim().split("\n");

const texts = files
  .filter((file) => /\.(ts|c|h|md|json|toml|map|txt)$|^scripts\/\w+$|^\.ci\//.test(file))
  .filter((file) => !/package-lock|fixtures/.test(file))
  .map((file) => ({ file, lines: readFileSync(checkoutFile(file), "utf8").split("\n") }));

/** Every line of the files that match, which the check calls wrong. */
function offenders(which: RegExp, wrong: (line: string, index: number) => boolean): string[] {
  return texts.filter(({ file }) => which.test(file)).flatMap(({ file, lines }) =>
    lines.flatMap((line, index) =>
      wrong(line, index) ? [`${file}:${index + 1}: ${line.trim()}`] : []
    )
  );
}

const isComment = (line: string): boolean => /^\s*(\/\/|\/?\*)/.test(line);

describe("every file", () => {
  it("was looked at", () => {
    assert.ok(texts.length > 60, `${texts.length} files`);
  });

  it("names a runtime only under lib/runtime", () => {
    const names =
      /\b(Bun|Deno)\.|\bglobalThis\b.*\b(Bun|Deno)\b|["'](bun:|node:ffi|koffi)|["'](Bun|Deno)["'] in /;
    const wrong = offenders(
      /^(lib\/(?!runtime\/)|mod\.ts|worker_entry\.ts)/,
      (line) => names.test(line) && !isComment(line),
    );
    assert.deepEqual(wrong, []);
  });

  it("has no constant that engines take for a double", () => {
    // `2 ** BITS` is one, and so is what is computed with it: six times the time in JavaScriptCore. `1 << BITS` is none.
    const power = /\bconst [A-Z_]+\b.*\d \*\* [A-Za-z]/;
    assert.deepEqual(offenders(/^lib\//, (line) => power.test(line)), []);
  });

  it("writes to the console only in the command", () => {
    const wrong = offenders(
      /^(lib\/(?!cli\/)|mod\.ts|worker_entry\.ts)/,
      (line) => /\bconsole\./.test(line) && !isComment(line),
    );
    assert.deepEqual(wrong, []);
  });

  it("speaks of no one's machine", () => {
    const path = new RegExp(`(^|[^\\w.-])/(${["work", "farm", "home", "Users"].join("|")})/[a-z]`);
    assert.deepEqual(offenders(/./, (line) => path.test(line)), []);
  });

  it("is not too long to read at once", () => {
    const long = texts.filter(({ file }) => /\.(ts|c)$/.test(file))
      .filter(({ lines }) => lines.length > MAX_LINES)
      .map(({ file, lines }) => `${file}: ${lines.length} lines`);
    assert.deepEqual(long, []);
  });

  it("has no layout number outside the layout", () => {
    const wrong = offenders(
      /^lib\/memory\/(?!mapping\/layout)/,
      (line) => /#header\[\d/.test(line),
    );
    assert.deepEqual(wrong, []);
  });

  it("declares its skips and focuses nothing", () => {
    const wrong = offenders(
      /^tests\/(?!tidy)/,
      (line) => /\b(it|test|describe)\.(only|todo)\b|\bt\.skip\(/.test(line),
    );
    assert.deepEqual(wrong, []);
  });
});
