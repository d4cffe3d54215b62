// What a container's default seccomp profile leaves of threads and placement: for tests/runtime/container_test.ts.
import process from "node:process";
import {
  Arena,
  type HeapPolicy,
  launch,
  NumaError,
  placement,
  Policy,
  sharedBuffer,
} from "../../mod.ts";

const body = "data:text/javascript,export default () => 1;";

function tell(error: unknown): string {
  if (!(error instanceof NumaError)) throw error;
  return `${error.code}: ${error.message}`;
}

async function heap(policy: HeapPolicy): Promise<unknown> {
  const thread = launch(body, { policy: Policy.bindNode(0), heap: policy });
  try {
    await thread.join();
  } catch (error) {
    return tell(error);
  }
  const { asked, got, node, refused } = thread.heap ?? {};
  return { asked, got, node, refused: refused && tell(refused) };
}

function attempt(call: () => unknown): string {
  try {
    return String(call());
  } catch (error) {
    return tell(error);
  }
}

const told: Record<string, unknown> = {};
for (const task of process.argv.slice(2)) {
  if (task === "arena") {
    told[task] = attempt(() => {
      using arena = Arena.create({ node: 0, size: "1 MiB" });
      return arena.residency().nodes.get(0);
    });
  } else if (task === "placement") {
    told[task] = attempt(() => {
      const memory = new SharedArrayBuffer(2 ** 20);
      new Uint8Array(memory).fill(1);
      const { pageNodes } = placement(memory);
      return pageNodes.every((node) => node === 0);
    });
  } else if (task === "buffer") {
    told[task] = attempt(() => {
      using shared = sharedBuffer({ node: 0, size: "1 MiB" });
      return shared.boundBytes >= 2 ** 19;
    });
  } else told[task] = await heap(task as HeapPolicy);
}
process.stdout.write(JSON.stringify(told));
