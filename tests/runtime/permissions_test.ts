import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { checkoutFile, onDeno } from "../support/checkout.ts";
import { documentedFlags } from "../support/permissions_doc.ts";

// Only Node 26 has the flag: the model of Node 20 to 24 does not know foreign functions.
const onNode26 = process.allowedNodeEnvironmentFlags.has("--allow-ffi");
const skip = !onDeno && !onNode26 && "no permission model with foreign functions";
const read = onDeno ? "--allow-read" : "--allow-fs-read";

const FEATURES = ["import numakit", "see the machine", "use arenas", "launch threads"];
const features = documentedFlags(onDeno ? "Deno" : "Node");
// Of the ways to get at the helper, the one of npm: a checkout's own needs less, tests/jsr has JSR's.
const helper = onDeno ? features.get("from npm, or files with `native/prebuilt`") as string[] : [];

let folder = "";

/** A package's files, and a program beside them. */
before(() => {
  if (skip) return;
  folder = realpathSync(mkdtempSync(join(tmpdir(), "numakit-permissions-")));
  for (const path of ["mod.ts", "worker_entry.ts", "lib", "native/prebuilt"]) {
    cpSync(checkoutFile(path), join(folder, "numakit", path), { recursive: true });
  }
  const source = readFileSync(checkoutFile("tests/modules/permissions.ts"), "utf8");
  mkdirSync(join(folder, "program"));
  writeFileSync(
    join(folder, "program/main.ts"),
    source.replace("../../mod.ts", "../numakit/mod.ts"),
  );
  writeFileSync(join(folder, "program/worker.mjs"), "export default () => 1;\n");
  for (const part of ["numakit", "program"]) {
    writeFileSync(join(folder, part, "package.json"), '{ "type": "module" }\n');
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs the program with these flags and gives what it said. */
function run(
  feature: string,
  flags: readonly string[],
  options: { readonly env?: Record<string, string>; readonly program?: string } = {},
): Promise<string> {
  const { env = {}, program = join(folder, "program/main.ts") } = options;
  const start = onDeno ? ["run", "--no-prompt", "--quiet", "--no-check"] : ["--permission"];
  const places = flags.map((flag) =>
    flag.replace(/\b(NUMAKIT|PROGRAM)\b/, (name) => join(folder, name.toLowerCase()))
  );
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...start, ...places, program, feature],
      { env: { ...process.env, NUMAKIT_LIBRARY: "", ...env } },
      (_error, stdout, stderr) => resolve(stdout || stderr),
    );
  });
}

describe("with too few permissions", () => {
  it("nothing is left out here", { skip }, () => {
    assert.deepEqual(FEATURES.filter((feature) => !features.has(feature)), []);
  });

  for (const feature of FEATURES) {
    it(`one can ${feature} with the documented flags, and is told of each that is missing`, {
      skip,
    }, async () => {
      const wanted = features.get(feature) as string[];
      const flags = feature === "import numakit" ? wanted : [...wanted, ...helper];
      assert.equal(await run(feature, flags), "fine\n");
      await Promise.all(flags.map(async (flag) => {
        const said = await run(feature, flags.filter((other) => other !== flag));
        assert.match(said, new RegExp(String(flag.split("=")[0])), `without ${flag}`);
        // Node's loader refuses to read modules before numakit has a say.
        if (onDeno || !flag.startsWith(read)) assert.match(said, /^NumaError EPERM Cannot /);
      }));
    });
  }

  it("one is told that the helper cannot be read", { skip }, async () => {
    const flags = onDeno
      ? ["--allow-ffi", `${read}=PROGRAM`]
      : ["lib", "mod.ts", "package.json"].map((path) => `${read}=NUMAKIT/${path}`)
        .concat(`${read}=PROGRAM`, "--allow-ffi");
    const said = await run("see the machine", flags);
    assert.match(said, /^NumaError EPERM Cannot load the C helper .*prebuilt/);
    assert.ok(said.includes(read), said);
  });

  it("a checkout with a helper built in it needs no more than that", { skip }, async () => {
    const flags = onDeno ? [] : [`${read}=${checkoutFile(".")}`, "--allow-ffi"];
    const program = checkoutFile("tests/modules/permissions.ts");
    const wanted = [...features.get("see the machine") as string[], ...flags];
    assert.equal(await run("see the machine", wanted, { program }), "fine\n");
  });

  it("a variable that may not be read counts as not set", { skip }, async () => {
    const variable = "have the variables `NUMAKIT_*` read";
    const flags = [...features.get("see the machine") as string[], ...helper];
    const env = { NUMAKIT_LIBRARY: "/nonexistent/libnumakit.so" };
    const said = await run("see the machine", flags, { env });
    assert.match(said, onDeno ? /^fine$/m : /^NumaError ELIBRARY .*nonexistent/);
    const allowed = [...features.get(variable) as string[], ...helper];
    assert.match(
      await run("see the machine", allowed, { env }),
      /^NumaError ELIBRARY .*nonexistent/,
    );
  });

  it("foreign functions with a path are not enough on Deno, which is said", { skip }, async () => {
    const flags = onDeno
      ? ["--allow-ffi=NUMAKIT", ...helper]
      : features.get("import numakit") ?? [];
    assert.match(await run("use arenas", flags), /^NumaError EPERM Cannot .*--allow-ffi/);
  });
});
