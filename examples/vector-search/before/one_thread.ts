/** The same in one thread. */
import { arrayKernel } from "../kernel.ts";
import { readOptions } from "../options.ts";
import { ask } from "../report.ts";
import { searchWith } from "../tasks.ts";
import { DIMENSIONS, writeVectors } from "../vectors.ts";

const options = readOptions();
const vectors = new Float32Array(options.vectors * DIMENSIONS);
writeVectors(vectors, 0);
const kernel = arrayKernel(vectors);
const all = { at: 0, first: 0, count: options.vectors };
await ask(options, (query, most) => searchWith(kernel, all, query, most));
