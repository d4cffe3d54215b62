import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { topology } from "../../mod.ts";
import { checkout, checkoutFile, onNode20, runModule } from "../support/checkout.ts";

describe("the quick start", () => {
  it("prints the machine and 1024", { skip: onNode20 && "Node 20 runs no TypeScript" }, () => {
    const { stdout, stderr, status } = runModule(new URL("docs/quickstart/main.ts", checkout));
    assert.equal(status, 0, stderr);
    const free = / \([^)]*free\)/g;
    assert.equal(
      stdout.replaceAll(free, ""),
      `${topology().summary().trimEnd()}\n1024\n`.replaceAll(free, ""),
    );
  });

  it("is in the README as it is run", () => {
    const readme = readFileSync(checkoutFile("README.md"), "utf8");
    for (const file of ["main.ts", "worker.ts"]) {
      const code = readFileSync(checkoutFile(`docs/quickstart/${file}`), "utf8");
      assert.ok(readme.includes(code.trimEnd()), `README.md does not have docs/quickstart/${file}`);
    }
  });

  it("is in the README without using, for Node 20 and 22", () => {
    const readme = readFileSync(checkoutFile("README.md"), "utf8");
    const main = readFileSync(checkoutFile("docs/quickstart/main.ts"), "utf8");
    const using = /^using (arena = [^;]*;)/m.exec(main)?.[1];
    for (const line of [`const ${using}`, "arena.destroy();"]) {
      assert.ok(readme.includes(`  \`\`\`ts\n  ${line}\n`), `README.md does not have ${line}`);
    }
  });
});
