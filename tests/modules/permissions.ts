// One use of numakit, by its name in docs/permissions.md. Runs as a copy that imports a package's files.
import process from "node:process";
import { Arena, CpuSet, launch, topology } from "../../mod.ts";

const uses: Record<string, () => unknown> = {
  "import numakit": () => CpuSet.parse("0-3").size,
  "see the machine": () => topology().summary(),
  "use arenas": () => Arena.create({ node: 0, size: "1 MiB" }).allocInt32(1024).fill(1),
  "launch threads": () => launch(new URL("./worker.mjs", import.meta.url)).join(),
};

try {
  await uses[process.argv[2] as string]?.();
  console.log("fine");
} catch (error) {
  const { name, code, message } = error as { name: string; code: string; message: string };
  console.log(`${name} ${code} ${message}`);
}
