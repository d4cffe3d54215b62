import { type Arena, currentNode, worker } from "@numakit/numakit";

export default worker(({ arena }: { arena: Arena }) => {
  const data = arena.allocInt32(1024); // node-local, no system call, no lock
  data.fill(currentNode());
  return data.length;
});
