import { Arena, worker } from "../../mod.ts";

export default worker((): { handle: number; used: number; node: number } => {
  const arena = Arena.local();
  arena.allocUint8(1024);
  const { identity } = Arena.local().toHandle().data as { identity: number };
  return { handle: identity, used: Arena.local().used, node: arena.node };
});
