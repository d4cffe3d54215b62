// What topology(), its summary and `numakit topo` say where hwloc's variables are set.
import process from "node:process";
import { stripVTControlCharacters } from "node:util";
import { Topology, topology } from "../../mod.ts";

const machine = topology();
/** The command's dependencies read the environment. */
const topo = process.argv[2] === "no topo"
  ? ""
  : (await import("../../lib/cli/topo.ts")).drawTopology(machine);
console.log(JSON.stringify({
  source: machine.snapshot.source,
  variable: machine.snapshot.variable ?? null,
  kept: Topology.from(JSON.stringify(machine)).snapshot.variable ?? null,
  summary: machine.summary().split("\n")[0],
  topo: stripVTControlCharacters(topo).split("\n")[0],
}));
