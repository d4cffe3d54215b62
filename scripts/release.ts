/**
 * A release, step by step; each step has to hold before the next begins. Without --publish it stops short of the
 * registries and says what it would have done.
 */
import { spawnSync } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";

const OUT = "build/npm";

const { values: options } = parseArgs({
  options: {
    publish: { type: "boolean", default: false },
    "skip-tests": { type: "boolean", default: false },
  },
});

function say(text: string): void {
  process.stdout.write(`release: ${text}\n`);
}

function fail(text: string): never {
  process.stderr.write(`release: ${text}\n`);
  process.exit(1);
}

function run(step: string, command: readonly string[]): void {
  say(`${step}: ${command.join(" ")}`);
  const [program, ...args] = command as [string, ...string[]];
  const { status } = spawnSync(program, args, { stdio: "inherit" });
  if (status !== 0) fail(`${step} failed`);
}

function read(command: readonly string[]): string {
  const [program, ...args] = command as [string, ...string[]];
  return spawnSync(program, args, { encoding: "utf8" }).stdout.trim();
}

const { version } = JSON.parse(readFileSync("deno.json", "utf8")) as { version: string };
if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)) fail(`deno.json has version ${version}`);
if (!readFileSync("CHANGELOG.md", "utf8").includes(`\n## ${version}\n`)) {
  fail(`CHANGELOG.md has no section "## ${version}"`);
}
if (read(["git", "status", "--porcelain"]) !== "") fail("the tree has uncommitted changes");
const tag = `v${version}`;
const tagged = read(["git", "tag", "--points-at", "HEAD"]).split("\n").includes(tag);
if (options.publish && !tagged) fail(`HEAD is not tagged ${tag}`);

if (!options["skip-tests"]) {
  run("tests", ["scripts/test"]);
  run("tests on arm64", ["scripts/test_arm64"]);
}
run("helpers and their sums", ["scripts/build_native", "--check"]);
run("npm packages", ["scripts/build_npm", "--out", OUT]);
run("JSR package", [".tools/bin/deno", "publish", "--dry-run"]);

// The platform packages first: the main one names them.
const tarballs = globSync(`${OUT}/**/*.tgz`).sort((a, b) =>
  Number(b.includes("linux-")) - Number(a.includes("linux-"))
);
if (tarballs.length === 0) fail(`no tarballs in ${OUT}`);
if (options.publish) {
  for (const tarball of tarballs) {
    run("publish to npm", ["npm", "publish", tarball, "--access", "public", "--provenance"]);
  }
  run("publish to JSR", [".tools/bin/deno", "publish"]);
} else {
  for (const tarball of tarballs) say(`would publish ${tarball} to npm`);
  say(`would publish @numakit/numakit ${version} to JSR`);
  if (!tagged) say(`HEAD would have to be tagged ${tag}`);
}
