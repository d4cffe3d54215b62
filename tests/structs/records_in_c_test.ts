import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import fc from "fast-check";
import {
  bool,
  bytes,
  f32,
  f64,
  i16,
  i64,
  struct,
  type StructFields,
  text,
  u32,
  u8,
} from "../../mod.ts";
import { modelStructs } from "../support/struct_model.ts";

const isThere = (compiler: string): boolean => spawnSync(compiler, ["--version"]).status === 0;
const noC = !isThere("gcc") && "there is no gcc here";
const noCpp = !isThere("g++") && "there is no g++ here";
const folder = mkdtempSync(join(tmpdir(), "numakit-struct-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Builds a program and runs it. */
function run(name: string, source: string, input: Uint8Array = new Uint8Array()): string {
  const program = join(folder, name);
  writeFileSync(`${program}.c`, source);
  const flags = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"];
  const built = spawnSync("gcc", [...flags, "-o", program, `${program}.c`], { encoding: "utf8" });
  assert.equal(built.status, 0, `${built.stderr}\n${source}`);
  const ran = spawnSync(program, { input, encoding: "utf8" });
  assert.equal(ran.status, 0, ran.stderr);
  return ran.stdout;
}

/** What members a declaration has. */
const membersIn = (declaration: string): string[] =>
  [...declaration.matchAll(/^ {2}\w+ (\w+)(?:\[\d+\])?; \/\/ at/gm)].map(([, name]) => name!);

/** Names that are keywords in C or in C++. */
const KEYWORDS = [
  "int",
  "int_",
  "long",
  "bool",
  "true",
  "restrict",
  "class",
  "new",
  "delete",
  "or",
];
const keywords: StructFields = Object.fromEntries(KEYWORDS.map((name) => [name, u8]));

describe("a struct in C", () => {
  const structs = [
    ...fc.sample(modelStructs, 60).map(({ fields }) => struct(fields)),
    ...[struct(keywords), struct({ a: bytes(2 ** 20 - 8), b: f64 })],
  ];
  const declarations = structs.map((schema, index) => schema.describe(`s${index}`));

  it("is laid out as its schema says", { skip: noC }, () => {
    const prints = declarations.map((declaration, index) => {
      const name = `struct s${index}`;
      const members = membersIn(declaration);
      assert.equal(members.length, Object.keys(structs[index]!.offsets).length);
      const offsets = members.map((member) => `  printf(" %zu", offsetof(${name}, ${member}));`);
      return [
        `  printf("%zu %zu", sizeof(${name}), _Alignof(${name}));`,
        ...offsets,
        `  puts("");`,
      ];
    });
    const source = [
      ...["#include <stddef.h>", "#include <stdio.h>", ...declarations],
      ...["int main(void) {", ...prints.flat(), "}", ""],
    ].join("\n");
    const expected = structs.map(({ size, align, offsets }) =>
      [size, align, ...Object.values(offsets)].join(" ")
    );
    assert.deepEqual(run("layouts", source).trimEnd().split("\n"), expected);
  });

  it("is declared for C++, too", { skip: noCpp }, () => {
    const flags = ["-x", "c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-"];
    const { status, stderr } = spawnSync("g++", flags, {
      input: declarations.join("\n"),
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  });

  it("has the values that were written here", { skip: noC }, () => {
    const Trade = struct({
      ...{ kind: u8, at: i64, price: f64, count: u32, part: f32, change: i16 },
      ...{ open: bool, name: text(6), key: bytes(2) },
    });
    const trades = Trade.array(new ArrayBuffer(Trade.bytes(2)));
    const common = { part: 0.25, open: true, key: Uint8Array.of(1, 254) };
    trades.write(0, { ...common, kind: 200, at: -5n, price: 1.5, count: 7, change: -9, name: "é" });
    const last = { kind: 1, at: 2n ** 62n, price: -1e300, count: 2 ** 32 - 1, change: 1 };
    trades.write(1, { ...common, ...last, name: "abcdef", open: false });
    const source = `#include <inttypes.h>
#include <stdio.h>
${Trade.describe("trade")}
int main(void) {
  struct trade t;
  while (fread(&t, sizeof t, 1, stdin) == 1) {
    printf("%d %" PRId64 " %g %" PRIu32 " %g %d %d %.6s %d %d\\n", t.kind, t.at, t.price, t.count,
           t.part, t.change, t.open, t.name, t.key[0], t.key[1]);
  }
}
`;
    assert.deepEqual(run("values", source, trades.bytes).split("\n"), [
      "200 -5 1.5 7 0.25 -9 1 é 1 254",
      "1 4611686018427387904 -1e+300 4294967295 0.25 1 0 abcdef 1 254",
      "",
    ]);
  });
});
