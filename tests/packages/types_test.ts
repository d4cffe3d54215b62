/**
 * What TypeScript and the linters of packages say of the npm package.
 *
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { install, writeProject } from "./consumers.ts";
import { told } from "./sandbox.ts";
import { type Contract, setUp } from "./setup.ts";

/** Uses each entry point, and one type wrongly. */
const CONSUMER =
  `import { Arena, launch, NumaError, Policy, type Thread, topology, worker } from "numakit";
import type { PageKind } from "numakit/memory";
import { plan } from "numakit/sched";
import { CpuSet, type TopologySnapshot } from "numakit/topology";

export const snapshot: TopologySnapshot = topology().snapshot;
export const pages: PageKind[] = ["2m", "4k"];
export const body = worker(({ arena }: { arena: Arena }) => arena.allocInt32(4).length);
export const thread: Thread<number> = launch<number>(new URL("./worker.js", import.meta.url), {
  policy: Policy.bindNode(0),
});
export const cpus: CpuSet = plan(topology(), Policy.bindNode(0), 1)[0]!.cpus;
export const isFull = (error: unknown): boolean => error instanceof NumaError && error.code === "ENOMEM";
using arena = Arena.create({ node: 0, size: "1 MiB", pages });
// @ts-expect-error a node is a number
Arena.create({ node: "0", size: 4096 });
export const used: number = arena.used;
`;

/** How consumers may resolve modules, and the kind of module that goes with it. */
const RESOLUTIONS = { node16: "Node16", nodenext: "NodeNext", bundler: "ESNext" };

let contract: Contract;
let folder: string;
before(async () => {
  contract = await setUp();
  folder = contract.sandbox.folder("types");
  await writeProject(folder, ["numakit", "@types/node"]);
  const ran = await install(contract.sandbox, "npm", folder);
  assert.equal(ran.status, 0, told(ran));
  writeFileSync(join(folder, "consumer.ts"), CONSUMER);
  for (const [index, tarball] of [contract.tarball, ...contract.helpers].entries()) {
    writeFileSync(join(folder, `${index}.tgz`), tarball);
  }
});
after(() => contract.close());

describe("the types", () => {
  for (const [moduleResolution, module] of Object.entries(RESOLUTIONS)) {
    it(`check a consumer with moduleResolution ${moduleResolution}`, async () => {
      const compilerOptions = {
        module,
        moduleResolution,
        target: "ES2022",
        lib: ["ESNext"],
        types: ["node"],
        strict: true,
        // numakit's own declarations are to be checked, too; once, as those of Node take long.
        skipLibCheck: moduleResolution !== "nodenext",
        noEmit: true,
        allowImportingTsExtensions: true,
      };
      const file = `tsconfig.${moduleResolution}.json`;
      const files = ["consumer.ts", "main.ts", "worker.ts"];
      writeFileSync(join(folder, file), JSON.stringify({ compilerOptions, files }));
      const tsc = checkoutFile("node_modules/typescript/bin/tsc");
      const ran = await contract.sandbox.run("node", [tsc, "-p", file], { cwd: folder });
      assert.equal(ran.status, 0, told(ran));
    });
  }

  it("check a consumer on Deno", async () => {
    const ran = await contract.sandbox.run("deno", ["check", "main.ts"], { cwd: folder });
    assert.equal(ran.status, 0, told(ran));
  });
});

describe("the linters of packages", () => {
  it("publint finds nothing, not even a suggestion", async () => {
    const publint = checkoutFile("node_modules/publint/src/cli.js");
    for (const index of [0, ...contract.helpers.map((_, helper) => helper + 1)]) {
      const ran = await contract.sandbox.run(
        "node",
        [publint, "run", "--strict", `${index}.tgz`],
        { cwd: folder },
      );
      assert.equal(ran.status, 0, told(ran));
      assert.match(ran.stdout, /All good!/, told(ran));
    }
  });

  it("arethetypeswrong finds nothing wrong for modules", async () => {
    const attw = checkoutFile("node_modules/@arethetypeswrong/cli/dist/index.js");
    const ran = await contract.sandbox.run(
      "node",
      [attw, "0.tgz", "--profile", "esm-only", "--no-emoji", "--no-color", "--no-definitely-typed"],
      { cwd: folder },
    );
    assert.equal(ran.status, 0, told(ran));
    assert.match(ran.stdout, /"numakit\/sched"/);
  });
});
