// Forgets an arena and destroys another, and says what the report knows of the first.
import { Arena, memoryReport } from "../../mod.ts";

function makeForgotten(): Arena {
  // Not returned at once: a call in the last place leaves no frame on Bun.
  const made = Arena.create({ node: 0, size: "1 MiB", label: "forgotten" });
  made.alloc(16);
  return made;
}

const arena = makeForgotten();
Arena.create({ node: 0, size: "1 MiB", label: "remembered" }).destroy();
const [{ stack } = { stack: undefined }] = memoryReport().arenas;
const [first = "none"] = /makeForgotten/.exec(stack ?? "") ?? [];
console.log(first, stack !== undefined && !arena.destroyed);
