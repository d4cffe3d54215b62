/** Each worker has a map of its own, with its share of the memory: what one has, others do not find. */
import { placesOf, readOptions, serve } from "../cluster.ts";

const options = readOptions();
const capacity = options.capacity / placesOf(options).length;
const module = new URL("./private_worker.ts", import.meta.url);
await serve(module, options, () => ({ args: { capacity } }));
