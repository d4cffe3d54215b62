/** Tasks for poolifier, which gives them one argument. */
import { ThreadWorker } from "poolifier";
import * as functions from "./functions.ts";
import { pinWorker } from "./pin.ts";

pinWorker();

const body: ThreadWorker<unknown, unknown> = new ThreadWorker<unknown, unknown>({
  add: (pair) => {
    const [a, b] = pair as readonly [number, number];
    return functions.add(a, b);
  },
  empty: () => functions.empty(),
  where: () => functions.where(),
});
export default body;
