import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Arena, type ArenaOptions, launch, type NumaErrorCode } from "../../mod.ts";
import type { Refused } from "../../lib/memory/mapping/explain.ts";
import {
  explainFinding,
  explainSharing,
  explainTaking,
} from "../../lib/memory/mapping/explain_name.ts";
import { checkoutFile, onDeno, runModule, sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import type { OpenedByName } from "../workers/open_named.ts";

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
/** Names of this process that are in one of the folders of names. */
function entries(name: string): string[] {
  const uid = process.geteuid?.() ?? 0;
  const folders = ["/run/numakit", `/run/user/${uid}/numakit`, `/dev/shm/numakit-${uid}`];
  return folders.filter(existsSync).flatMap((folder) => readdirSync(folder))
    .filter((file) => file.startsWith(name));
}
const refused: Omit<Refused, "syscall"> = { node: 0, pages: "4k", bytes: MIB, action: "do it" };
const openNamed = sibling(import.meta.url, "../modules/open_named");
const openTwice = sibling(import.meta.url, "../modules/open_twice");
const openInThread = sibling(import.meta.url, "../workers/open_named");
const otherRuntimes = {
  bun: ["tests/modules/open_named.ts"],
  deno: ["run", "--allow-all", "tests/modules/open_named.ts"],
  node: ["--disable-warning=ExperimentalWarning", "tests/modules/open_named.ts"],
};

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
    for (const [runtime, args] of Object.entries(otherRuntimes)) {
      arena.bytes[0] = runtime.length;
      const { stdout, stderr } = spawnSync(checkoutFile(`.tools/bin/${runtime}`), args, {
        ...{ cwd: checkoutFile("."), encoding: "utf8", env: { ...process.env, NAME: name } },
      });
      assert.match(stdout, new RegExp(`"first":${runtime.length}}`), stderr);
      assert.equal(arena.bytes[1], 99);
      arena.bytes[1] = 0;
    }
  });

  it("is one object in a thread, so that its bytes are given out once", () => {
    const name = freshName();
    using made = Arena.create({ node: 0, size: 65536, name });
    const found = Arena.open(name);
    const words = found.allocInt32(4).fill(2);
    made.allocInt32(4).fill(3);
    assert.deepEqual([...words], [2, 2, 2, 2]);
    assert.equal(found, made);
    assert.equal(Arena.fromHandle(structuredClone(made.toHandle())), made);
    // One holder: what is opened again is not held again.
    found.destroy();
    assert.equal(made.destroyed, true);
    throwsCode(() => Arena.open(name), "ESTALE");
  });

  it("is one mapping in a process, whichever of its threads opens it", async () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: 65536, name });
    arena.allocInt32(4).fill(7);
    const opened = await launch<OpenedByName>(openInThread, { args: { name } }).join();
    const { identity } = arena.toHandle().data as { readonly identity: number };
    assert.deepEqual(opened, { identity, first: 7, busy: "EBUSY", same: true });
    // And where only another process has made it.
    const ran = runModule(openTwice, { env: { NAME: name } });
    assert.deepEqual(JSON.parse(ran.stdout), [true, true, true], ran.stderr);
  });

  it("is found any number of times", {
    skip: process.arch !== "x64" && "the other runtimes are installed for x64 only",
  }, () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: MIB, name });
    arena.bytes[0] = 5;
    for (const [runtime, args] of Object.entries(otherRuntimes)) {
      const { stdout, stderr } = spawnSync(checkoutFile(`.tools/bin/${runtime}`), args, {
        ...{ cwd: checkoutFile("."), encoding: "utf8" },
        env: { ...process.env, NAME: name, TIMES: "200" },
      });
      assert.match(stdout, /"first":5}/, stderr);
    }
  });

  it("is the one that bears the name now, whoever had it before", () => {
    const name = freshName();
    const first = Arena.create({ node: 0, size: 4096, name });
    first.bytes[0] = 1;
    // A process that has the first one open makes the next one, under the same name.
    const child = spawn(process.execPath, [
      ...(onDeno ? ["run", "--allow-all"] : []),
      fileURLToPath(sibling(import.meta.url, "../modules/make_again")),
    ], { env: { ...process.env, NAME: name }, stdio: ["pipe", "pipe", "inherit"] });
    return new Promise<void>((resolve, reject) => {
      let said = "";
      child.stdout.on("data", (text) => {
        said += text;
        try {
          if (said === "opened 1\n") {
            first.destroy();
            child.stdin.write("make\n");
          } else if (said === "opened 1\nmade\n") {
            using second = Arena.open(name);
            assert.deepEqual([second.bytes[0], second.capacity], [2, 8192]);
            throwsCode(() => Arena.create({ node: 0, size: 4096, name }), "EBUSY");
            child.kill("SIGKILL");
          }
        } catch (error) {
          child.kill("SIGKILL");
          reject(error);
        }
      });
      child.on("exit", () => {
        try {
          throwsCode(() => Arena.open(name), "ESTALE");
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
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
    assert.equal(entries(name).length, 1);
    arena.destroy();
    assert.deepEqual(entries(name), []);
    throwsCode(() => Arena.open(name), "ESTALE", /never created, or its creator has ended/);
    using _next = Arena.create({ node: 0, size: 4096, name });
  });

  it("is gone with a maker that was killed, and leaves nothing behind", () => {
    const name = freshName();
    const ran = runModule(sibling(import.meta.url, "../modules/make_named"), {
      env: { NAME: name },
    });
    assert.equal(ran.signal, "SIGKILL", ran.stderr);
    assert.equal(ran.stdout, "made\n");
    throwsCode(() => Arena.open(name), "ESTALE");
    assert.deepEqual(entries(name), [], "who asks for it removes what was left");
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

/** How to run a command in namespaces of its own: util-linux's `unshare`. */
function unshare(flags: readonly string[], before: string, env: Record<string, string>): string {
  const program = [process.execPath, ...(onDeno ? ["run", "--allow-all"] : [])];
  const command = `${before} exec "$@"`;
  const { stdout, stderr } = spawnSync("unshare", [
    ...[...flags, "sh", "-c", command, "sh", ...program, fileURLToPath(openNamed)],
  ], { encoding: "utf8", env: { ...process.env, ...env } });
  return stdout + stderr;
}

const noNamespaces = spawnSync("unshare", ["--pid", "--fork", "--mount-proc", "--net", "true"])
      .status !== 0 && "this process may not make namespaces";

describe("Arena.open where the other process cannot be reached", () => {
  it("works from another network namespace", { skip: noNamespaces }, () => {
    const name = freshName();
    using arena = Arena.create({ node: 0, size: MIB, name });
    arena.bytes[0] = 8;
    assert.match(unshare(["--net"], "", { NAME: name }), /"first":8}/);
  });

  it("tells of another PID namespace", { skip: noNamespaces }, () => {
    const name = freshName();
    using _arena = Arena.create({ node: 0, size: MIB, name });
    const said = unshare(["--pid", "--fork", "--mount-proc"], "", { NAME: name });
    assert.match(said, /^ENOTSUP .* is in another PID or time namespace/);
  });

  it("tells of another folder of names", { skip: noNamespaces }, () => {
    const name = freshName();
    using _arena = Arena.create({ node: 0, size: MIB, name });
    const hide = "mount -t tmpfs none /dev/shm && mount -t tmpfs none /run &&";
    const said = unshare(["--mount"], hide, { NAME: name });
    assert.match(said, /^ENOTSUP .* in another mount namespace has an arena called/);
  });

  it("says what was refused, and what to do", () => {
    const finding: Readonly<Record<number, readonly [NumaErrorCode, RegExp]>> = {
      1: ["EACCES", /folder of names, \/.*numakit.*owner \d+, mode \d+.*rm -r/],
      2: ["ESTALE", /no process of this user has an arena called "x"/],
      6: ["ENOTSUP", /\/proc of this process's PID namespace/],
      12: ["ENOMEM", /not enough memory/],
      13: ["EACCES", /not dumpable.*setcap.*AmbientCapabilities/],
      18: ["ENOTSUP", /another PID or time namespace.*--pid container/],
      66: ["ENOTSUP", /another mount namespace.*--ipc container/],
      71: ["EABI", /another version.*same version/],
      74: ["EABI", /is not what its entry says/],
    };
    for (const [errno, [code, text]] of Object.entries(finding)) {
      const error = explainFinding(-Number(errno), "x", "open the arena x");
      assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
    }
    const taking: Readonly<Record<number, readonly [NumaErrorCode, RegExp]>> = {
      1: ["EACCES", /folder of names/],
      2: ["ENOTSUP", /is not there and cannot be made.*tmpfs/],
      6: ["ENOTSUP", /\/proc/],
      17: ["EBUSY", /another arena of this user is called "x"/],
      23: ["EAGAIN", /the system has no file descriptor/],
      24: ["EAGAIN", /this process has no file descriptor.*ulimit -n/],
      117: ["EACCES", /x\.arena is not a file that belongs to this user.*remove it/],
      28: ["ENOMEM", /folder of names, .* is full/],
    };
    for (const [errno, [code, text]] of Object.entries(taking)) {
      const error = explainTaking(-Number(errno), "x", "make the arena x");
      assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
    }
    const sharing: Readonly<Record<number, readonly [NumaErrorCode, RegExp]>> = {
      12: ["ENOMEM", /available: some/],
      24: ["EAGAIN", /file descriptor/],
      87: ["EAGAIN", /may not map more.*max_map_count/],
    };
    for (const [errno, [code, text]] of Object.entries(sharing)) {
      const error = explainSharing(-Number(errno), refused);
      assert.deepEqual([error.code, text.test(error.message)], [code, true], error.message);
      assert.equal(error.syscall, "nk_mapping_share");
    }
  });
});
