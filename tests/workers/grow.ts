import { type Arena, worker } from "../../mod.ts";

export default worker(({ arena }: { arena: Arena }): number => {
  const view = arena.allocUint8(2 * 2 ** 20);
  view.fill(9);
  view[0] = 8;
  arena.unclaim();
  return view.byteOffset - arena.bytes.byteOffset;
});
