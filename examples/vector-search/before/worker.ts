/** A worker that is sent vectors, and then queries. */
import { parentPort } from "node:worker_threads";
import { arrayKernel, type Kernel } from "../kernel.ts";
import { searchWith } from "../tasks.ts";

/** What it is sent at first. */
export interface Share {
  readonly first: number;
  readonly count: number;
  readonly most: number;
  readonly vectors: Float32Array;
}

let share: Share;
let kernel: Kernel;
parentPort?.on("message", (message: Share | Float32Array) => {
  if (message instanceof Float32Array) {
    parentPort?.postMessage(
      searchWith(kernel, { ...share, at: 0 }, message, share.most),
    );
  } else {
    share = message;
    kernel = arrayKernel(share.vectors);
    parentPort?.postMessage("ready");
  }
});
