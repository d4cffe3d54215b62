// Imports everything and uses nothing; then uses it on what looks like another system.
import process from "node:process";
import * as numakit from "../../mod.ts";

const platform = process.env["PRETEND_PLATFORM"];
if (platform !== undefined) Object.defineProperty(process, "platform", { value: platform });

const use = process.argv.at(-1) === "use" || process.env["USE"] === "1";
if (use) {
  const uses = [
    () => numakit.topology(),
    () => numakit.currentNode(),
    () => numakit.currentCpu(),
    () => numakit.Arena.create({ node: 0, size: 4096 }),
    () => numakit.syntheticTopology("pu:2"),
    () => numakit.launch("file:///nowhere.ts"),
  ];
  for (const call of uses) {
    try {
      call();
      console.log("worked");
    } catch (error) {
      const { name, code, message } = error as { name: string; code: string; message: string };
      console.log(`${name} ${code} ${message}`);
    }
  }
}
console.log(`${Object.keys(numakit).length > 10} ${numakit.CpuSet.parse("0-3").size}`);
