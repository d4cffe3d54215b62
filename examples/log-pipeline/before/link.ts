/** Batches from one thread to another by messages. As nothing else bounds them, each one is acknowledged. */
import type { MessagePort, Transferable } from "node:worker_threads";

/** How many batches may be on their way through a port. */
const WINDOW = 8;
const END = null;

/** Where a stage's batches go, in turn to each thread of the next one. */
export class Outlet {
  readonly #ports: readonly MessagePort[];
  readonly #room: number[];
  #turn = 0;
  #wake = (): void => {};

  constructor(ports: readonly MessagePort[]) {
    this.#ports = ports;
    this.#room = ports.map(() => WINDOW);
    for (const [index, port] of ports.entries()) {
      port.on("message", () => {
        this.#room[index]!++;
        this.#wake();
      });
    }
  }

  async send(batch: unknown, transfer: readonly Transferable[] = []): Promise<void> {
    const index = this.#turn++ % this.#ports.length;
    while (this.#room[index] === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    this.#room[index]!--;
    this.#ports[index]!.postMessage(batch, [...transfer]);
  }

  end(): void {
    for (const port of this.#ports) port.postMessage(END);
  }
}

/** Takes batches one after the other; resolves when those who send have ended. */
export function receiveAll<Batch>(
  ports: readonly MessagePort[],
  take: (batch: Batch) => void | Promise<void>,
): Promise<void> {
  let left = ports.length;
  let last = Promise.resolve();
  return new Promise((resolve, reject) => {
    for (const port of ports) {
      port.on("message", (batch: Batch | typeof END) => {
        last = last.then(async () => {
          if (batch === END) {
            if (--left === 0) resolve();
            return;
          }
          await take(batch);
          port.postMessage("done");
        });
        last.catch(reject);
      });
    }
  });
}
