import { Arena, launch, Policy, topology } from "@numakit/numakit";

console.log(topology().summary());
using arena = Arena.create({ node: 0, size: "1 MiB", pages: ["2m", "4k"] }); // on node 0, or it throws
const thread = launch(new URL("./worker.ts", import.meta.url), {
  policy: Policy.bindNode(0),
  args: { arena },
});
console.log(await thread.join()); // 1024
