/** Vector search: which of many vectors are most like another one. Their memory is on all nodes, and so are the threads. */
import { readOptions } from "./options.ts";
import { ask } from "./report.ts";
import { VectorIndex } from "./vector_index.ts";

const options = readOptions();
const index = await VectorIndex.create(options);
await ask(options, (query, most) => index.search(query, most));
await index.close();
