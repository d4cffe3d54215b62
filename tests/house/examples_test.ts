import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { filesIn, textOf } from "../support/sources.ts";

const examples = filesIn("examples", "/README.md").map((page) => page.replace("/README.md", ""));

describe("the examples", () => {
  it("are all in the index of the documentation", () => {
    assert.ok(examples.length >= 2, examples.join());
    const index = textOf("docs/README.md");
    assert.deepEqual(examples.filter((example) => !index.includes(`\`${example}\``)), []);
  });

  it("have a program, a benchmark and a test each", () => {
    const wanted = examples.flatMap((example) => [
      `${example}/main.ts`,
      `${example}/bench.ts`,
      `tests/${example.replaceAll("-", "_")}_test.ts`,
    ]);
    assert.deepEqual(wanted.filter((file) => !existsSync(checkoutFile(file))), []);
  });

  it("import numakit as users do", () => {
    const inside = filesIn("examples", ".ts")
      .filter((file) => /from "(\.\.\/)+(lib|mod|tests|bench)\b/.test(textOf(file)));
    assert.deepEqual(inside, []);
  });
});
