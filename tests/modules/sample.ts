// A process with one thread on a node: tells where new memory of that comes from. For tests/numa/two_nodes_test.ts.
import process from "node:process";
import { launch, Policy } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";

const thread = launch(sibling(import.meta.url, "../workers/pins"), {
  policy: Policy.bindNode(Number(process.argv[2])),
  args: { task: "work" },
});
const { node, share } = await thread.sampleHeap();
const { got, refused } = thread.binding?.memory ?? {};
process.stdout.write(JSON.stringify({ node, share, got, refused: refused?.message ?? null }));
await thread.terminate();
