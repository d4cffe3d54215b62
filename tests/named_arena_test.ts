import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { Arena, type ArenaOptions } from "../mod.ts";
import { checkoutFile, runModule, sibling } from "./support/checkout.ts";
import { throwsCode } from "./support/errors.ts";

const MIB = 2 ** 20;
let count = 0;
const freshName = (): string => `test-${process.pid}-${count++}`;
/** How many files of named memory this process has open. */
function memoryFiles(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("/memfd:numakit.");
    } catch {
      return false; // It was the folder's own.
    }
  }).length;
}
const openNamed = sibling(import.meta.url, "./modules/open_named");

describe("an arena with a name", () => {
  it("is the same memory in another process", () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: MIB, name });
    arena.allocUint8(100)[0] = 42;
    const ran = runModule(openNamed, { env: { NAME: name } });
    assert.deepEqual(JSON.parse(ran.stdout), {
      ...{ node: 0, pages: "4k", capacity: MIB, used: 112, first: 42 },
    }, ran.stderr);
    assert.equal(arena.bytes[1], 99);
    assert.equal(arena.label, name);
    assert.deepEqual([...arena.residency().nodes], [[0, 256]]);
  });

  it("is the same memory on another runtime", {
    skip: process.arch !== "x64" && "the other runtimes are installed for x64 only",
  }, () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: MIB, name });
    const commands = {
      bun: ["tests/modules/open_named.ts"],
      deno: ["run", "--allow-all", "tests/modules/open_named.ts"],
      node: ["--disable-warning=ExperimentalWarning", "tests/modules/open_named.ts"],
    };
    for (const [runtime, args] of Object.entries(commands)) {
      arena.bytes[0] = runtime.length;
      const { stdout, stderr } = spawnSync(checkoutFile(`.tools/bin/${runtime}`), args, {
        ...{ cwd: checkoutFile("."), encoding: "utf8", env: { ...process.env, NAME: name } },
      });
      assert.match(stdout, new RegExp(`"first":${runtime.length}}`), stderr);
      assert.equal(arena.bytes[1], 99);
      arena.bytes[1] = 0;
    }
  });

  it("is opened twice in its own process, too", () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: MIB, name });
    using again = Arena.open(name);
    assert.notEqual(again, arena);
    arena.allocUint8(16).fill(3);
    assert.equal(again.bytes[15], 3);
    assert.equal(again.used, 16);
    arena.unclaim();
    again.allocUint8(16);
    assert.equal(arena.used, 32);
  });

  it("lets one thread of all processes allocate, and outlives it", () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: MIB, name });
    arena.claim();
    const busy = runModule(openNamed, { env: { NAME: name, CLAIM: "1" } });
    assert.match(busy.stdout, /EBUSY.*the thread with id \d+ allocates from it/, busy.stderr);
    arena.unclaim();
    const killed = runModule(openNamed, { env: { NAME: name, CLAIM: "1", CRASH: "1" } });
    assert.equal(killed.signal, "SIGKILL", killed.stderr);
    assert.equal(arena.used, 16);
    assert.equal(arena.alloc(16), 16, "its owner is dead, so it is free");
  });

  it("has a name for one arena at a time, and while its maker lives", () => {
    const name = freshName();
    const arena = Arena.create({ node: 0, size: 4096, name });
    const files = memoryFiles();
    throwsCode(() => Arena.create({ node: 0, size: 4096, name }), "EBUSY", /is called/);
    assert.equal(memoryFiles(), files, "nothing stays open");
    using other = Arena.open(name);
    arena.destroy();
    throwsCode(() => Arena.open(name), "ESTALE", /never made, or whoever made it is gone/);
    other.bytes[0] = 1;
    using _next = Arena.create({ node: 0, size: 4096, name });
  });

  it("is gone with a maker that was killed, and leaves nothing behind", () => {
    const name = freshName();
    const ran = runModule(sibling(import.meta.url, "./modules/make_named"), {
      env: { NAME: name },
    });
    assert.equal(ran.signal, "SIGKILL", ran.stderr);
    assert.equal(ran.stdout, "made\n");
    throwsCode(() => Arena.open(name), "ESTALE");
    assert.deepEqual(readdirSync("/dev/shm").filter((file) => file.includes(name)), []);
    using _next = Arena.create({ node: 0, size: 4096, name });
  });

  it("neither grows nor trims", () => {
    using arena = Arena.create({ node: 0, size: 8192, name: freshName() });
    throwsCode(() => arena.trim(), "ENOTSUP", /other processes/);
    throwsCode(() => arena.grow(4096), "ENOTSUP");
    throwsCode(() => arena.alloc(8193), "ENOMEM");
    const growing = { node: 0, size: 4096, reserve: 8192, name: freshName() };
    throwsCode(() => Arena.create(growing), "ENOTSUP", /cannot grow/);
    const thp = { node: 0, size: 4096, pages: "thp", name: freshName() } as ArenaOptions;
    throwsCode(() => Arena.create(thp), "ENOTSUP");
  });

  it("refuses names that are none", () => {
    const wrong = ["", "a/b", "a b", "ä", "x".repeat(41), "a\0b", 1, null, {}, Symbol("x"), NaN];
    for (const name of wrong) {
      throwsCode(() => Arena.create({ node: 0, size: 1, name: name as string }), "EINVAL", /name/);
      throwsCode(() => Arena.open(name as string), "EINVAL", /name/);
    }
    throwsCode(() => Arena.open("nobody-has-this"), "ESTALE");
  });
});
