import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { PREBUILT } from "../../lib/runtime/library/prebuilt.ts";
import { hasSum } from "../../lib/runtime/library/verify.ts";
import { checkoutFile } from "../support/checkout.ts";
import { deadLinks } from "../support/links.ts";
import { damage, type Ran, runBeside, unpack, User } from "./support.ts";

const HELPER = `native/prebuilt/linux-${process.arch}-gnu/libnumakit.so`;
const { sha256 } = PREBUILT[`linux-${process.arch}-gnu`] as { sha256: string };
const EVERYTHING_ELSE = new RegExp(
  "^(deno\\.json|mod\\.ts|worker_entry\\.ts|LICENSE|(README|CHANGELOG|CONTRIBUTING)\\.md|lib/.+|" +
    "native/(prebuilt|licenses)/.+|native/(counter/)?README\\.md|docs/(.+\\.md|evidence\\.(json|svg)))$",
);

let user: User;
let published: Ran;
let helper: Uint8Array;

/** The file that the C helper is kept in. */
const cached = (): string => join(user.cache, "numakit", sha256, "libnumakit.so");

function assertQuickStart({ status, stdout, stderr }: Ran): void {
  assert.equal(stderr, "");
  assert.match(stdout, /^\d+ NUMA nodes?, [^]*\n1024\n$/);
  assert.equal(status, 0);
}

function assertFails({ status, stderr, stdout }: Ran, message: RegExp): void {
  assert.match(stderr, message);
  assert.equal(stdout, "");
  assert.equal(status, 1);
}

before(async () => {
  ({ user, published } = await User.create());
  helper = user.registry.files.get(HELPER) ?? new Uint8Array();
});
after(() => user.leave());

describe("the package for JSR", () => {
  it("publishes without a warning, slow types included", () => {
    assert.equal(published.status, 0, published.stderr);
    assert.doesNotMatch(published.stderr, /warning|error/i);
    assert.match(published.stderr, /Successfully published @numakit\/numakit@0\.1\.0/);
  });

  it("has the sources, the C helpers, their licenses, and nothing else", () => {
    const names = [...user.registry.files.keys()];
    assert.deepEqual(names.filter((name) => !EVERYTHING_ELSE.test(name)), []);
    const sources = globSync("lib/**/*.ts", { cwd: checkoutFile(".") });
    const helpers = Object.keys(PREBUILT).map((target) =>
      `native/prebuilt/${target}/libnumakit.so`
    );
    const wanted = [...sources, ...helpers, "mod.ts", "worker_entry.ts", "LICENSE", "README.md"];
    assert.deepEqual(wanted.filter((name) => !names.includes(name)), []);
    assert.ok(hasSum(helper, sha256), "the helper is not the one that the sources know");
  });

  it("has what its documents link to", () => {
    const { files } = user.registry;
    assert.ok(files.has("docs/errors.md") && files.has("docs/design/arena.md"));
    assert.deepEqual(deadLinks(files), []);
  });

  it("names the versions of the command's dependencies", () => {
    const text = new TextDecoder().decode(user.registry.files.get("lib/cli/main.ts"));
    assert.match(text, /from "npm:commander@\d/);
  });
});

describe("numakit from JSR on Deno", () => {
  it("runs the quick start with empty caches, and asks for nothing but its own files", async () => {
    user.registry.requests = [];
    assertQuickStart(await user.run(user.flags(true)));
    const { requests } = user.registry;
    assert.deepEqual(requests.filter((path) => !path.startsWith("/@numakit/numakit/")), []);
    assert.equal(requests.filter((path) => path.endsWith(".so")).length, 1);
    assert.ok(hasSum(readFileSync(cached()), sha256));
  });

  it("runs it again offline, without the network's flags", async () => {
    await user.registry.stop();
    try {
      assertQuickStart(await user.run(["--cached-only", ...user.flags(false)]));
    } finally {
      await user.registry.start();
    }
  });

  it("runs it from plain URLs", async () => {
    user.emptyCache();
    user.emptyDenoDir();
    const { url } = user.registry;
    user.map(`${url}@numakit/numakit/0.1.0/mod.ts`);
    const flags = [...user.flags(true), `--allow-import=${new URL(url).host}`];
    try {
      assertQuickStart(await user.run(flags));
    } finally {
      user.map("jsr:@numakit/numakit@0.1.0");
    }
  });

  it("fetches a helper anew that was damaged in the cache", async () => {
    writeFileSync(cached(), damage(helper));
    assertQuickStart(await user.run(user.flags(true)));
    assert.ok(hasSum(readFileSync(cached()), sha256));
  });

  it("does not load a helper that was damaged in the cache when it cannot be fetched", async () => {
    writeFileSync(cached(), damage(helper));
    user.registry.files.delete(HELPER);
    assertFails(await user.run(user.flags(true)), /NumaError: Cannot fetch .*HTTP 404/);
    user.registry.files.set(HELPER, helper);
  });

  it("refuses a helper that was damaged on its way, and keeps nothing of it", async () => {
    user.emptyCache();
    user.registry.files.set(HELPER, damage(helper));
    const ran = await user.run(user.flags(true));
    user.registry.files.set(HELPER, helper);
    assertFails(ran, /NumaError: Cannot fetch the C helper from http.*SHA-256/);
    assert.match(ran.stderr, /"ELIBRARY"/);
    assert.equal(existsSync(user.cache), false);
  });

  it("says where the helper was not, and what to do", async () => {
    user.emptyCache();
    user.registry.files.delete(HELPER);
    const ran = await user.run(user.flags(true));
    user.registry.files.set(HELPER, helper);
    const place = `${user.registry.url}@numakit/numakit/0.1.0/${HELPER}`;
    assertFails(ran, /NumaError: Cannot fetch .*HTTP 404.*NUMAKIT_LIBRARY/);
    assert.ok(ran.stderr.includes(place), ran.stderr);
  });

  for (const flag of ["ffi", "env", "read", "write", "net"]) {
    it(`names the flag when --allow-${flag} is missing`, async () => {
      user.emptyCache();
      const others = user.flags(true).filter((other) => !other.startsWith(`--allow-${flag}`));
      assertFails(
        await user.run(others),
        new RegExp(`NumaError: Cannot .*permissions do not allow it.*--allow-${flag}`),
      );
    });
  }

  it("names the flag when the worker's module may not be read", async () => {
    const flags = user.flags(true).filter((flag) => flag !== `--allow-read=${user.folder}`);
    const { stderr } = await user.run(flags);
    assert.match(stderr, /NumaError: Cannot load the worker module .*--allow-read/);
  });
});

describe("numakit from the package's files", () => {
  const commands = { Bun: ["bun"], Deno: ["deno", "run", "--allow-all"], "Node 26": ["node"] };
  for (const [runtime, [program, ...flags]] of Object.entries(commands)) {
    const use = (): Promise<Ran> =>
      runBeside([checkoutFile(`.tools/bin/${program}`), ...flags, "use.ts"], {
        cwd: user.folder,
        env: {},
      });

    it(`takes the helper beside them, and not when it is damaged, on ${runtime}`, async () => {
      unpack(user.registry.files, join(user.folder, "package"));
      const program = 'import { topology } from "./package/mod.ts";\n' +
        "try { console.log(topology().nodes.length > 0); }\n" +
        "catch (error) { console.log(error.name, error.code, error.message); }\n";
      writeFileSync(join(user.folder, "use.ts"), program);
      assert.equal((await use()).stdout, "true\n");
      writeFileSync(join(user.folder, "package", HELPER), damage(helper));
      assert.match(
        (await use()).stdout,
        /^NumaError ELIBRARY Cannot load the C helper .*it is damaged/,
      );
    });
  }
});
