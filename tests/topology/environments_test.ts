import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { topology } from "../../mod.ts";
import { onDeno, runModule, sibling } from "../support/checkout.ts";
import { environments } from "../support/environments.ts";
import { noPolicies } from "../support/policies.ts";

const module = sibling(import.meta.url, "../modules/environment");
const changing = sibling(import.meta.url, "../modules/narrowed");
const scratch = mkdtempSync(join(tmpdir(), "numakit-environments-"));
const last = `${topology().allowedCpus.last}`;

/** Files can be hidden by root alone: in a namespace of users the files of /sys may not be covered everywhere. */
const refused = spawnSync("unshare", ["-m", "sh", "-c", "mount -t tmpfs none /mnt"]);
const skip = noPolicies || (refused.status !== 0 && "no mount namespace can be made here");

describe("in an environment with", { concurrency: false }, () => {
  after(() => rmSync(scratch, { recursive: true }));

  for (const { name, setup, sees, refused = {} } of environments) {
    it(`${name}, all works or is refused with the right words`, { skip }, () => {
      const { status, stdout, stderr } = runModule(module, {
        within: ["unshare", "-m", "sh", "-c", `${setup} exec "$@"`, "sh"],
        env: { SCRATCH: scratch, LAST: last },
      });
      assert.equal(status, 0, stderr);
      const told = JSON.parse(stdout) as Record<string, string>;
      assert.match(told.sees as string, sees);
      for (const what of ["arena", "lock", "launch", "pool"]) {
        assert.match(`${told[what]}`, refused[what] ?? /^true$/, what);
      }
    });
  }

  const one = skip || (topology().allowedCpus.size < 2 && "there is one CPU");
  it("an affinity that is narrowed while it runs, plans are made anew", { skip: one }, async () => {
    const flags = onDeno ? ["run", "--no-prompt", "--allow-all"] : [];
    const child = spawn(process.execPath, [...flags, fileURLToPath(changing)]);
    let text = "";
    let errors = "";
    child.stderr.on("data", (data) => errors += data);
    await new Promise<void>((done) => {
      child.on("exit", () => done());
      child.stdout.on("data", (data) => {
        text += data;
        if (!text.includes("ready")) return;
        child.stdout.removeAllListeners("data").on("data", (more) => text += more);
        const { stderr } = spawnSync("taskset", ["-apc", last, `${child.pid}`]);
        errors += stderr;
        child.stdin.end("go\n");
      });
    });
    const [, json = ""] = text.split("ready\n");
    assert.deepEqual(JSON.parse(json || JSON.stringify(errors)), {
      ...{ launched: last, pinned: last, pool: 1, seen: last },
    });
  });
});
