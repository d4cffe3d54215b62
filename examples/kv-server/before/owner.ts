/** The main thread has the only map; workers ask it by messages. */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { readOptions, serve } from "../cluster.ts";
import { LruMap } from "./lru_map.ts";
import type { Question, Reply } from "./owner_worker.ts";

const options = readOptions();
const map = new LruMap(options.capacity);
const ports: MessagePort[] = [];

function answer({ what, args }: Question): unknown {
  return (map[what] as (...args: unknown[]) => unknown)(...args);
}

await serve(new URL("./owner_worker.ts", import.meta.url), options, () => {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1);
  port1.on("message", (question: Question) => {
    port1.postMessage({ id: question.id, result: answer(question) } satisfies Reply);
  });
  return { args: { owner: port2 }, transfer: [port2] };
});
for (const port of ports) port.close();
