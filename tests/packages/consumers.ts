/**
 * Projects of people who use numakit: the quick start of the documentation and little else.
 *
 * @module
 */
import { transform } from "esbuild";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkoutFile, type Ran } from "../support/checkout.ts";
import { npmProgram, type Sandbox, type Tool } from "./sandbox.ts";

/** What installs packages. */
export type Installer = "npm" | "pnpm" | "bun";

/** A file of the quick start as somebody writes it who has the package from npm. */
function quickStart(file: string): string {
  const code = readFileSync(checkoutFile(`docs/quickstart/${file}`), "utf8");
  return code.replaceAll("@numakit/numakit", "numakit");
}

/** The same in JavaScript that every Node runs. */
async function quickStartInJavaScript(file: string): Promise<string> {
  const { code } = await transform(quickStart(file), { loader: "ts", target: "node20" });
  return code.replaceAll("./worker.ts", "./worker.js");
}

/** Uses numakit on what looks like another system, after it was imported. */
const OTHER_SYSTEM = `import process from "node:process";
import * as numakit from "numakit";

Object.defineProperty(process, "platform", { value: "darwin" });
console.log("imported", numakit.CpuSet.parse("0-3").size);
for (const use of [() => numakit.topology(), () => numakit.Arena.create({ node: 0, size: 4096 })]) {
  try {
    use();
    console.log("worked");
  } catch (error) {
    console.log(error.name, error.code, error.message);
  }
}
`;

/** Says how opening the C helper goes. */
const OPEN = `import { topology } from "numakit";

try {
  console.log("nodes", topology().nodes.length);
} catch (error) {
  console.log(error.name, error.code, error.message);
}
`;

/**
 * Writes a project.
 *
 * @param folder An empty folder.
 * @param dependencies What it depends on.
 */
export async function writeProject(
  folder: string,
  dependencies: readonly string[] = ["numakit", "koffi"],
): Promise<void> {
  const any = Object.fromEntries(dependencies.map((name) => [name, "*"]));
  const manifest = { name: "consumer", private: true, type: "module", dependencies: any };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, null, 2));
  for (const file of ["main.ts", "worker.ts"]) {
    writeFileSync(join(folder, file), quickStart(file));
    const code = await quickStartInJavaScript(file);
    writeFileSync(join(folder, file.replace(/\.ts$/, ".js")), code);
  }
  // Node 22 strips types and has no `using`; README.md has these two lines for it.
  const withoutUsing = quickStart("main.ts").replace("using arena", "const arena");
  writeFileSync(join(folder, "main_22.ts"), `${withoutUsing}arena.destroy();\n`);
  writeFileSync(join(folder, "other_system.js"), OTHER_SYSTEM);
  writeFileSync(join(folder, "open.js"), OPEN);
}

/** Copies a project with what was installed in it. */
export function copyProject(from: string, to: string): void {
  cpSync(from, to, { recursive: true, verbatimSymlinks: true });
}

/** Installs a project's dependencies from the sandbox's registry. */
export function install(sandbox: Sandbox, installer: Installer, cwd: string): Promise<Ran> {
  switch (installer) {
    case "npm":
      return sandbox.run("node", [npmProgram(), "install", "--no-progress"], { cwd });
    case "pnpm":
      return sandbox.run("pnpm", ["install", "--ignore-scripts"], { cwd });
    case "bun":
      return sandbox.run("bun", ["install"], { cwd });
  }
}

/** The arguments that run a module. */
export function runArguments(tool: Tool, ...args: string[]): string[] {
  return tool === "deno" ? ["run", "--allow-all", "--no-prompt", ...args] : args;
}
