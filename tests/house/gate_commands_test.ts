import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { runCommand } from "../../scripts/lib/command.ts";
import { isWanted, unknownParts } from "../../scripts/lib/only.ts";
import { readProc } from "../../scripts/lib/proc.ts";
import { checkoutFile, onNode20 } from "../support/checkout.ts";

const moment = () => new Promise((resolve) => setTimeout(resolve, 10));

/** Waits for the end of a process; whoever takes it over may wait for it later. */
async function hasEnded(pid: number): Promise<void> {
  while (readProc(`${pid}/cmdline`) !== "") await moment();
}

describe("a command of the gate", () => {
  /** Runs a script of the shell. */
  const sh = (script: string, graceMs?: number) => runCommand(["sh", "-c", script], {}, graceMs);

  it("gives its status and all that it printed", async () => {
    assert.deepEqual(await sh("echo out; echo err >&2; exit 3"), {
      ...{ status: 3, output: "out\nerr\n", leftovers: [] },
    });
    const { output } = await sh("seq 100000");
    assert.equal(output.length, 588_895);
    assert.equal((await runCommand(["./no_such_program"])).status, 127);
  });

  it("says which signal ended it", async () => {
    assert.deepEqual(await sh("kill -9 $$"), {
      ...{ status: 128, output: "\nended by SIGKILL\n", leftovers: [] },
    });
  });

  it("names and ends what it leaves running, in whatever session", async () => {
    for (const start of ["sleep 2001", "setsid sleep 2001", "setsid sleep 2001 >&- 2>&-"]) {
      // On a busy machine the shell or setsid may stand there for a while.
      const isThere = 'until read -r name </proc/$!/comm && [ "$name" = sleep ]; do :; done';
      const { status, output, leftovers } = await sh(
        `${start} & ${isThere}; echo $!; exit 0`,
        200,
      );
      assert.deepEqual({ status, leftovers }, { status: 0, leftovers: ["sleep 2001"] }, start);
      assert.match(output, /^\d+\n\nleft running: sleep 2001\n$/);
      await hasEnded(parseInt(output));
    }
  });

  it("does not wait for one that it does not know any longer", async () => {
    const folder = mkdtempSync(join(tmpdir(), "numakit-gate-"));
    const fifo = join(folder, "started");
    // Until it has left its environment behind it would be known by that.
    const { leftovers } = await sh(
      `mkfifo ${fifo}; env -i setsid sh -c 'echo >${fifo}; exec sleep 60' & read _ <${fifo}; exit 0`,
      200,
    );
    assert.deepEqual(leftovers, ["a process that holds its output open"]);
    rmSync(folder, { recursive: true });
  });

  it("has a moment for those that are about to end", async () => {
    assert.deepEqual((await sh("sleep 0.3 & exit 0")).leftovers, []);
  });

  it("ends when the gate is killed", async () => {
    const script = `import { runCommand } from "${checkoutFile("scripts/lib/command.ts")}";\n` +
      'await runCommand(["sh", "-c", "echo $$ >$PID_FILE; exec sleep 2002"]);\n';
    const folder = mkdtempSync(join(tmpdir(), "numakit-gate-"));
    const file = join(folder, "pid");
    const gate = spawn(checkoutFile(".tools/bin/bun"), ["-e", script], {
      env: { ...process.env, PID_FILE: file },
      stdio: "inherit",
    });
    const isWritten = () => existsSync(file) && readFileSync(file, "utf8").endsWith("\n");
    while (!isWritten()) await moment();
    gate.kill("SIGKILL");
    await hasEnded(Number(readFileSync(file, "utf8")));
    rmSync(folder, { recursive: true });
  });
});

describe("scripts/test --only", () => {
  const names = ["Bun", "guest with 2 nodes, Bun", "arm64 guest, Bun", "C helper"];
  const wanted = (...only: string[]) => names.filter((name) => isWanted(name, only));

  it("runs the suites that have one of the names in theirs", () => {
    assert.deepEqual(wanted(), names);
    assert.deepEqual(wanted("c HELPER"), ["C helper"]);
    assert.deepEqual(wanted("C helper", "arm64"), ["arm64 guest, Bun", "C helper"]);
  });

  it("runs guests only when they are asked for", () => {
    assert.deepEqual(wanted("Bun"), ["Bun"]);
    assert.deepEqual(wanted("guest"), ["guest with 2 nodes, Bun", "arm64 guest, Bun"]);
    assert.deepEqual(wanted("Bun", "guest with"), ["Bun", "guest with 2 nodes, Bun"]);
  });

  it("finds the names that mean no suite", () => {
    assert.deepEqual(unknownParts(["C helper", "Bunn", "2 nodes"], names), ["Bunn", "2 nodes"]);
  });

  it("refuses them and lists the suites", () => {
    const { status, stdout, stderr } = spawnSync(
      checkoutFile(".tools/bin/bun"),
      ["scripts/test.ts", "--quick", "--only", "C helper", "--only", "Bunn"],
      { cwd: checkoutFile("."), encoding: "utf8" },
    );
    assert.equal(status, 2, stderr);
    assert.equal(stdout, "");
    assert.match(stderr, /^test: no suite has "Bunn" in its name; there are\n/);
    assert.match(stderr, /^ {2}C helper with ASan and UBSan$/m);
  });
});

describe("the tests for several nodes", () => {
  const skip = onNode20 && "Node 20 runs no TypeScript";

  it("are each run by the gate in a guest of their shape", { skip }, async () => {
    const { numaGuests } = await import("../../scripts/lib/guests.ts");
    for (const all of [false, true]) {
      const words = [...numaGuests(all).values()].flatMap(({ suites }) =>
        suites.flatMap(({ command }) => command("report.xml"))
      );
      const files = readdirSync(checkoutFile("tests/numa")).filter((name) =>
        /_test\.ts$/.test(name)
      );
      assert.ok(files.length > 5);
      assert.deepEqual(files.filter((name) => !words.includes(`./tests/numa/${name}`)), []);
    }
  });
});

describe("scripts/bootstrap", () => {
  it("builds again when any source of C changes", () => {
    const text = readFileSync(checkoutFile("scripts/bootstrap"), "utf8");
    const [, body = ""] = /^inputs\(\) \{\n([^]*?)\n\}/m.exec(text) ?? [];
    const [, patterns = ""] = /cat ([^|]*)\|/.exec(body) ?? [];
    const list = (command: string): string[] => {
      const cwd = checkoutFile(".");
      const { stdout } = spawnSync("bash", ["-c", command], { cwd, encoding: "utf8" });
      return stdout.split("\n").filter((line) => line !== "");
    };
    const inputs = new Set(list(`printf '%s\\n' ${patterns}`));
    const sources = list(
      "find native bench/native -name build -prune -o '(' -name '*.[ch]' -o -name CMakeLists.txt ')' -print",
    );
    assert.ok(sources.length > 50);
    assert.deepEqual(sources.filter((file) => !inputs.has(file)), []);
  });
});
