/**
 * What the npm packages promise to people who install them: from the tarballs alone, outside the checkout.
 *
 * NUMAKIT_PACKAGE=PATH names the tarball or folder to test; without it, one is built.
 *
 * @module
 */
import assert from "node:assert/strict";
import { globSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, it } from "node:test";
import { PREBUILT } from "../../lib/runtime/library/prebuilt.ts";
import { readTarball } from "../../scripts/lib/npm/tarball.ts";
import type { Ran } from "../support/checkout.ts";
import { deadLinks } from "../support/links.ts";
import { copyProject, install, type Installer, runArguments, writeProject } from "./consumers.ts";
import { mayMount, text, told, type Tool } from "./sandbox.ts";
import { type Contract, setUp } from "./setup.ts";

const RUNTIMES: readonly Tool[] = ["node20", "node22", "node24", "node", "bun", "deno"];
const QUICK_START = /^(?!.*rror)[\s\S]*node[\s\S]*\n1024\n$/;

let contract: Contract;
before(async () => {
  contract = await setUp();
});
after(() => contract.close());

const projects = new Map<Installer, string>();

function projectOf(installer: Installer): string {
  const folder = projects.get(installer);
  assert.ok(folder !== undefined, `${installer} did not install it`);
  return folder;
}

async function runsQuickStart(tool: Tool, file: string, cwd: string): Promise<void> {
  const ran = await contract.sandbox.run(tool, runArguments(tool, file), { cwd });
  assert.equal(ran.status, 0, told(ran));
  assert.match(ran.stdout, QUICK_START, told(ran));
}

describe("the tarballs", () => {
  it("run nothing when they are installed", async () => {
    for (const tarball of [contract.tarball, ...contract.helpers]) {
      const manifest = JSON.parse(String((await readTarball(tarball)).get("package.json")));
      assert.equal(manifest.scripts, undefined, manifest.name);
    }
  });

  it("have a C helper for every system, each for its system only", async () => {
    const main = JSON.parse(String((await readTarball(contract.tarball)).get("package.json")));
    const names = Object.keys(PREBUILT).map((target) => `@numakit/${target}`).sort();
    assert.deepEqual(Object.keys(main.optionalDependencies).sort(), names);
    assert.equal(contract.helpers.length, names.length);
    for (const tarball of contract.helpers) {
      const files = await readTarball(tarball);
      const { name, version, os, cpu, libc } = JSON.parse(String(files.get("package.json")));
      assert.equal(`@numakit/${os}-${cpu}-${libc}`.replace("glibc", "gnu"), name);
      assert.equal(main.optionalDependencies[name], version);
      const { bytes } = PREBUILT[name.slice("@numakit/".length)] as { bytes: number };
      assert.equal(files.get("libnumakit.so")?.length, bytes);
      assert.doesNotMatch(String(files.get("libnumakit.so")), /lib(hwloc|numa)\.so/);
    }
  });

  it("say where they come from", async () => {
    for (const tarball of [contract.tarball, ...contract.helpers]) {
      const manifest = JSON.parse(String((await readTarball(tarball)).get("package.json")));
      const home = "https://github.com/numakit/numakit";
      assert.deepEqual(manifest.repository, { type: "git", url: `git+${home}.git` });
      assert.equal(manifest.homepage, `${home}#readme`);
      assert.deepEqual(manifest.bugs, { url: `${home}/issues` });
      assert.match(manifest.author, /\S/);
      assert.match(manifest.license, /^GPL-3\.0/);
    }
  });

  it("have the licences of all that is in the command", async () => {
    const files = await readTarball(contract.tarball);
    assert.equal(JSON.parse(String(files.get("package.json"))).dependencies, undefined);
    const command = String(files.get("lib/cli/bin.js"));
    assert.doesNotMatch(command, /^import .* from "(?!\.|node:)/m, "the command needs a package");
    const inside = new Set(
      [...command.matchAll(/"node_modules\/((?:@[^/]+\/)?[^/]+)\//g)].map(([, name]) => name),
    );
    const licences = String(files.get("THIRD-PARTY.md"));
    for (const name of [...inside, "commander", "cli-table3", "picocolors", "mitata"]) {
      const section = new RegExp(`^## ${name} \\d[^#]*Copyright[^#]*Permission`, "m");
      assert.ok(section.test(licences), `THIRD-PARTY.md lacks ${name}`);
    }
    assert.ok(inside.size >= 3, [...inside].join());
  });

  it("have what their documents link to", async () => {
    for (const tarball of [contract.tarball, ...contract.helpers]) {
      assert.deepEqual(deadLinks(await readTarball(tarball)), []);
    }
  });

  it("have sources for nothing, and no path of the machine that made them", async () => {
    for (const [file, bytes] of await readTarball(contract.tarball)) {
      assert.match(file, /\.(js|d\.ts|json|md)$|^LICENSE$/);
      assert.doesNotMatch(file, /node_modules|\.map$/);
      assert.ok(!bytes.includes(process.cwd()), file);
      assert.ok(!bytes.includes("@numakit/numakit"), `${file} speaks of the package on JSR`);
    }
  });
});

for (const installer of ["npm", "pnpm", "bun"] as const) {
  describe(`installed with ${installer}`, () => {
    before(async () => {
      const folder = contract.sandbox.folder(installer);
      await writeProject(folder);
      const ran = await install(contract.sandbox, installer, folder);
      assert.equal(ran.status, 0, told(ran));
      projects.set(installer, folder);
    });

    it("brings the C helper of this system", () => {
      const home = realpathSync(join(projectOf(installer), "node_modules/numakit"));
      const found = globSync(join(home, "../@numakit/*")).map((path) => path.split("/").at(-1));
      assert.ok(found.includes(`linux-${process.arch}-gnu`), found.join());
    });

    it("brings nothing else", () => {
      const folder = join(projectOf(installer), "node_modules");
      const found = globSync(["*", "@*/*"], { cwd: folder });
      const others = found.filter((name) => !/^(numakit|koffi|@numakit|@koromix)\b/.test(name));
      assert.deepEqual(others, []);
    });

    const tools = installer === "npm" ? RUNTIMES : ["node20", "node", "bun", "deno"] as const;
    for (const tool of tools) {
      it(`runs the quick start in JavaScript on ${tool}`, () =>
        runsQuickStart(tool, "main.js", projectOf(installer)));
      if (tool === "node20") continue;
      it(`runs the quick start in TypeScript on ${tool}`, () =>
        runsQuickStart(tool, tool === "node22" ? "main_22.ts" : "main.ts", projectOf(installer)));
    }
  });
}

describe("installed by Deno (npm:)", () => {
  it("runs the quick start, and the command", async () => {
    const cwd = contract.sandbox.folder("deno");
    await writeProject(cwd);
    writeFileSync(join(cwd, "package.json"), "{}");
    const config = { nodeModulesDir: "none", imports: { numakit: "npm:numakit@*" } };
    writeFileSync(join(cwd, "deno.json"), JSON.stringify(config));
    await runsQuickStart("deno", "main.ts", cwd);
    await runsQuickStart("deno", "main.js", cwd);
    const ran = await contract.sandbox.run("deno", runArguments("deno", "npm:numakit", "topo"), {
      cwd,
    });
    assert.equal(ran.status, 0, told(ran));
    assert.match(ran.stdout, /NUMA nodes/);
  });
});

describe("the command", () => {
  for (const tool of RUNTIMES) {
    it(`shows the machine and runs the demo on ${tool}`, async () => {
      const cwd = projectOf("npm");
      const bin = join(cwd, "node_modules/.bin/numakit");
      const start = tool === "bun" || tool === "deno" ? runArguments(tool, bin) : [];
      const options = tool === "bun" || tool === "deno" ? { cwd } : { cwd, program: bin };
      const { version } = JSON.parse(text(cwd, "node_modules/numakit/package.json"));
      const said = await contract.sandbox.run(tool, [...start, "--version"], options);
      assert.equal(said.stdout, `${version}\n`, told(said));
      const topo = await contract.sandbox.run(tool, [...start, "topo"], options);
      assert.equal(topo.status, 0, told(topo));
      assert.match(topo.stdout, /NUMA nodes/);
      const run = (): Promise<Ran> => contract.sandbox.run(tool, [...start, "demo"], options);
      let demo = await run();
      // Deno 2.9 crashes once in a hundred times while it exits, after a worker and many Buffers, without numakit too.
      if (tool === "deno" && demo.signal === "SIGSEGV") demo = await run();
      assert.equal(demo.status, 0, told(demo));
      assert.match(demo.stdout, /✓ it ran on CPU \d+ of node 0/);
    });
  }
});

describe("what can go wrong", () => {
  for (const tool of RUNTIMES) {
    it(`another system is told at first use, not at import, on ${tool}`, async () => {
      const cwd = projectOf("npm");
      const ran = await contract.sandbox.run(tool, runArguments(tool, "other_system.js"), { cwd });
      assert.match(ran.stdout, /^imported 4\n(NumaError EPLATFORM .*darwin.*\n){2}$/, told(ran));
    });

    it(`a damaged C helper is not loaded on ${tool}`, async () => {
      const cwd = contract.sandbox.folder(`damaged-${tool}`);
      copyProject(projectOf("npm"), cwd);
      for (const file of globSync(join(cwd, "node_modules/@numakit/*/libnumakit.so"))) {
        const bytes = readFileSync(file);
        // In the last byte, which no loader looks at.
        bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
        writeFileSync(file, bytes);
      }
      const ran = await contract.sandbox.run(tool, runArguments(tool, "open.js"), { cwd });
      assert.match(ran.stdout, /^NumaError ELIBRARY .*damaged.*SHA-256/, told(ran));
    });
  }

  it("a missing C helper is told with what to do", async () => {
    const cwd = contract.sandbox.folder("bare");
    await writeProject(cwd);
    const npm = await install(contract.sandbox, "npm", cwd);
    assert.equal(npm.status, 0, told(npm));
    rmSync(join(cwd, "node_modules/@numakit"), { recursive: true });
    const ran = await contract.sandbox.run("node", ["open.js"], { cwd });
    assert.match(ran.stdout, /^NumaError ELIBRARY .*optional dependencies/, told(ran));
  });

  it("a missing koffi is told with what to do", async () => {
    const cwd = contract.sandbox.folder("no-koffi");
    await writeProject(cwd, ["numakit"]);
    const npm = await install(contract.sandbox, "npm", cwd);
    assert.equal(npm.status, 0, told(npm));
    const ran = await contract.sandbox.run("node20", ["open.js"], { cwd });
    assert.match(ran.stdout, /^NumaError ELIBRARY .*koffi is not installed.*npm install koffi/);
  });

  it("the system's hwloc and libnuma were out of reach in these tests", {
    skip: !mayMount() && "hiding them needs the right to mount",
  }, () => assert.ok(contract.sandbox.hidden));
});
