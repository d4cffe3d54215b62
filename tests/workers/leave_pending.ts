import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { Arena, worker } from "../../mod.ts";

/** Returns while the runtime still compresses its arenas' bytes. */
export default worker(({ arenas }: { arenas: number }): number => {
  for (let count = 0; count < arenas; count++) {
    const arena = Arena.create({ node: 0, size: 2 ** 20 });
    zlib.deflate(Buffer.from(arena.bytes.fill(count).buffer), () => {});
  }
  return arenas;
});
