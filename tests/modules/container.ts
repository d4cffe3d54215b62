// What a container's default seccomp profile leaves of threads and placement: for tests/runtime/container_test.ts.
import process from "node:process";
import {
  Arena,
  type BindStrength,
  launch,
  NumaError,
  pin,
  placement,
  Policy,
  sharedBuffer,
  type ThreadBinding,
} from "../../mod.ts";

const body = "data:text/javascript,export default () => 1;";

function tell(error: unknown): string {
  if (!(error instanceof NumaError)) throw error;
  return `${error.code}: ${error.message}`;
}

/** What a thread reports of its place, with one strength for CPUs and for memory. */
async function bound(strength: BindStrength): Promise<unknown> {
  const bind = { cpus: strength, memory: strength };
  const thread = launch(body, { policy: Policy.bindNode(0), bind });
  try {
    await thread.join();
  } catch (error) {
    return tell(error);
  }
  return flat(thread.binding as ThreadBinding);
}

function flat({ cpus, memory }: ThreadBinding): unknown {
  return {
    cpus: { ...cpus, asked: `${cpus.asked}`, got: `${cpus.got}`, ...refusal(cpus) },
    memory: { ...memory, ...refusal(memory) },
  };
}

function refusal({ refused }: { refused: NumaError | undefined }): { refused?: string } {
  return refused === undefined ? {} : { refused: tell(refused) };
}

/** The same of a pin of this thread, which cannot be nicer than it is afterwards. */
function pinned(strength: BindStrength): unknown {
  using made = pin(Policy.bindNode(0), { bind: { cpus: strength, memory: strength } });
  return flat(made.binding);
}

/** A thread that is to take less of its niceness back. */
async function nicer(): Promise<unknown> {
  const thread = launch("data:text/javascript,export default () => new Promise(() => {})", {
    nice: 5,
  });
  while (thread.nice === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  const told = [
    thread.nice,
    attempt(() => thread.setNice(0)),
    thread.nice,
    await thread.sampleHeap().then(String, tell),
  ];
  await thread.terminate();
  return [...told, await launch(body, { nice: -5 }).join().catch(tell)];
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
  } else if (task === "pin") {
    told[task] = pinned("prefer");
  } else if (task === "pin required") {
    told[task] = attempt(() => pinned("require"));
  } else if (task === "nice") {
    told[task] = await nicer();
  } else told[task] = await bound(task as BindStrength);
}
process.stdout.write(JSON.stringify(told));
