/**
 * The walk of CONTRIBUTING.md through a new lock, in a copy of the tree: its five places are enough, and each is needed.
 * Node runs this alone: it starts Bun, whatever runs it.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";

/** A block of code, and where it goes. */
interface Place {
  readonly file: string;
  /** What follows the name of the file. Default: it is a new one. */
  readonly where: string | undefined;
  readonly code: string;
}

const walk = readFileSync(checkoutFile("CONTRIBUTING.md"), "utf8")
  .split("## A new lock, in five places\n")[1] as string;

const places: readonly Place[] = [
  // What has an example in it has a longer fence.
  ...walk.matchAll(/^(`{3,})ts\n\/\/ (\S+?)(?:, (.+))?\n([^]+?)^\1$/gm),
]
  .map(([, , file, where, code]) => ({ file: file as string, where, code: code as string }));

/** What there is in the end, besides the benchmarks: command lines of one shell. */
const commands: readonly string[] = (/^```sh\n([^]+?)^```$/m.exec(walk)?.[1] ?? "").trim()
  .split("\n").filter((line) => !line.includes("scripts/bench"));

/** What git ignores, and the copy shares. */
const LINKED = ["node_modules", ".tools", "native/build"];
let copy: string;

/** Copies what git knows or would know, and links what it ignores. */
function copyTree(): string {
  const folder = mkdtempSync(join(tmpdir(), "numakit-walk-"));
  const options = { cwd: checkoutFile("."), encoding: "utf8" } as const;
  const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], options);
  for (const file of files.trim().split("\n")) {
    const from = checkoutFile(file);
    if (existsSync(from) && !LINKED.includes(file)) {
      cpSync(from, join(folder, file), { recursive: true });
    }
  }
  for (const linked of LINKED) {
    symlinkSync(checkoutFile(linked), join(folder, linked));
  }
  // The tidy test asks git for the files.
  execFileSync("git", ["init", "--quiet"], { cwd: folder });
  return folder;
}

/** The text of a file with a block at its place. */
function placed(text: string | undefined, { file, where, code }: Place): string {
  if (where === undefined) {
    assert.equal(text, undefined, `${file} is there already`);
    return code;
  }
  assert.ok(text, `there is no ${file}`);
  const list = /^at the end of (\w+)$/.exec(where)?.[1];
  if (list === undefined) return text + code;
  const [imports, row] = code.split("\n\n") as [string, string];
  const end = text.indexOf("\n];\n", text.indexOf(`export const ${list}`)) + 1;
  assert.ok(end > 0, `${file} has no ${list}`);
  const whole = text.slice(0, end) + row + text.slice(end);
  return whole.replace(/^import /m, () => `${imports}\nimport `);
}

/** Takes the steps of the walk, all but one. */
function walkWithout(left: Place | undefined): void {
  for (const place of places) {
    const path = join(copy, place.file);
    const original = checkoutFile(place.file);
    if (place.where === undefined) rmSync(path, { force: true });
    else cpSync(original, path);
    if (place === left) continue;
    mkdirSync(dirname(path), { recursive: true });
    const text = existsSync(path) ? readFileSync(path, "utf8") : undefined;
    writeFileSync(path, placed(text, place));
  }
}

function run(command: string): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync("sh", ["-c", command], {
    cwd: copy,
    encoding: "utf8",
  });
  return { status, output: `${stdout}${stderr}` };
}

describe("a new lock", () => {
  before(() => {
    copy = copyTree();
  });
  after(() => rmSync(copy, { recursive: true }));

  it("takes five places", () => {
    assert.equal(places.length, 5, places.map(({ file }) => file).join());
    assert.ok(commands.length >= 4, commands.join("\n"));
  });

  it("has them in the style of the house, and they fit its types", () => {
    walkWithout(undefined);
    const files = places.filter(({ where }) => where === undefined).map(({ file }) => file);
    for (
      const command of [
        `.tools/bin/deno fmt --check ${files.join(" ")}`,
        `.tools/bin/deno check ${places.map(({ file }) => file).join(" ")}`,
      ]
    ) {
      const { status, output } = run(command);
      assert.equal(status, 0, `${command}\n${output}`);
    }
  });

  for (const command of commands) {
    it(`is tested by ${command}`, () => {
      walkWithout(undefined);
      const { status, output } = run(command);
      // What passed would hide what did not where a log is shortened.
      assert.equal(status, 0, output.replace(/^\(pass\).*\n/gm, ""));
      assert.match(output, command.includes("house") ? /\b0 fail/ : /Tas/);
    });
  }

  for (const place of places) {
    it(`is not done without ${place.file}`, () => {
      walkWithout(place);
      const { status, output } = run(".tools/bin/bun test ./tests/house/rows_test.ts");
      assert.notEqual(status, 0, output);
      assert.match(output, /tas/i);
    });
  }
});
