// A small machine as hwloc 1, 2 and 3 write it: two packages, nodes 0 and 4, each with an L3 and two cores of two CPUs.
// The CPUs of the second package are 64 to 67, so that sets have empty words.

import { native } from "../../lib/runtime/native.ts";
import { parseDescription } from "../../lib/topology/parse_snapshot.ts";
import type { TopologySnapshot } from "../../lib/topology/snapshot.ts";

/** A format of hwloc's XML files, by the number of hwloc. */
export type Format = 1 | 2 | 3;

const GIB = 2 ** 30;
const NODES = [0, 4];
const FIRST_CPUS = [0, 64];

/** A set as hwloc writes it: `"0x0000000f,,0x00000003"`. */
export function hwlocSet(ids: readonly number[]): string {
  const words: string[] = [];
  for (let word = 0; word <= Math.floor(Math.max(0, ...ids) / 32); word++) {
    const bits = ids.filter((id) => Math.floor(id / 32) === word)
      .reduce((all, id) => all + 2 ** (id % 32), 0);
    words.unshift(bits === 0 ? "" : `0x${bits.toString(16).padStart(8, "0")}`);
  }
  if (words.at(-1) === "") words[words.length - 1] = "0x0";
  return words.join(",");
}

let objects = 0;

function sets(format: Format, cpus: readonly number[], nodes: readonly number[]): string {
  const [cpuset, nodeset] = [hwlocSet(cpus), hwlocSet(nodes)];
  const old = format === 1 ? ` online_cpuset="${cpuset}" allowed_cpuset="${cpuset}"` : "";
  const number = ++objects;
  const index = format === 1
    ? ""
    : ` gp_index="${number}"${format === 3 ? ` id="obj${number}"` : ""}`;
  return `cpuset="${cpuset}" complete_cpuset="${cpuset}"${old} nodeset="${nodeset}" ` +
    `complete_nodeset="${nodeset}"${index}`;
}

function coreXml(format: Format, core: number, first: number, node: number): string {
  const cpus = [first, first + 1];
  const pus = cpus.map((cpu) =>
    `<object type="PU" os_index="${cpu}" ${sets(format, [cpu], [node])}/>`
  );
  const cache = (level: number, type: number): string => {
    const letter = type === 2 ? "i" : "";
    return `<object type="${format === 1 ? "Cache" : `L${level}${letter}Cache`}" ` +
      `${sets(format, cpus, [node])} cache_size="${level * 32768}" depth="${level}" ` +
      `cache_linesize="64" cache_associativity="8" cache_type="${type}">`;
  };
  return `${cache(2, 0)}
${cache(1, 1)}
${cache(1, 2)}
<object type="Core" os_index="${core}" ${sets(format, cpus, [node])}>
${pus.join("\n")}
</object>
</object>
</object>
</object>`;
}

function packageXml(format: Format, index: number): string {
  const [node, first] = [NODES[index]!, FIRST_CPUS[index]!];
  const cpus = [first, first + 1, first + 2, first + 3];
  const own = sets(format, cpus, [node]);
  const cores = [0, 1].map((core) => coreXml(format, core, first + 2 * core, node)).join("\n");
  const numa = `type="NUMANode" os_index="${node}" ${sets(format, cpus, [node])}` +
    ` local_memory="${(index + 1) * GIB}"`;
  const pages = format === 3 ? "" : '<page_type size="4096" count="262144"/>\n';
  const caches =
    `<object type="${format === 1 ? "Cache" : "L3Cache"}" ${sets(format, cpus, [node])} ` +
    `cache_size="8388608" depth="3" cache_linesize="64" cache_associativity="16" cache_type="0">
${cores}
</object>`;
  const socket = `<object type="${format === 1 ? "Socket" : "Package"}" os_index="${index}" ${own}>
<info name="CPUModel" value="Small &quot;machine&quot; &amp; Co &lt;1&gt;"/>
`;
  return format === 1
    ? `<object ${numa}>\n${pages}${socket}${caches}\n</object>\n</object>`
    : `${socket}<object ${numa}>\n${pages}</object>\n${caches}\n</object>`;
}

function extrasXml(format: Format, objects: string): string {
  if (format === 1) return "";
  const number = /type="NUMANode" os_index="0" [^>]*gp_index="(\d+)"/.exec(objects)?.[1];
  const wrote = format === 3 ? '  <info name="hwlocVersion" value="3.0.0"/>\n' : "";
  return `<distances2 type="NUMANode" nbobjs="2" kind="5" name="NUMALatency" indexing="os">
<indexes length="4">0 4 </indexes>
<u64values length="12">10 21 21 10 </u64values>
</distances2>
<support name="discovery.pu"/>
${wrote}<memattr name="Bandwidth" flags="5">
<memattr_value target_obj_type="NUMANode" target_obj_gp_index="${number}" value="100000" initiator_cpuset="0x0000000f"/>
</memattr>
<cpukind cpuset="${hwlocSet([0, 1, 2, 3])}">
<info name="FrequencyMaxMHz" value="2000"/>
</cpukind>
<cpukind cpuset="${hwlocSet([64, 65, 66, 67])}">
<info name="FrequencyMaxMHz" value="3000"/>
</cpukind>
`;
}

/**
 * Writes the machine.
 *
 * @param format As which hwloc does it.
 * @returns The text.
 */
export function smallMachine(format: Format): string {
  objects = 0;
  const cpus = FIRST_CPUS.flatMap((first) => [first, first + 1, first + 2, first + 3]);
  const allowed = format === 1 ? "" : `allowed_cpuset="${hwlocSet(cpus)}" `;
  const latency = (value: string): string => `<latency value="${value}"/>`;
  const distances = format > 1
    ? ""
    : `<distances nbobjs="2" relative_depth="1" latency_base="10.000000">
${["1.000000", "2.100000", "2.100000", "1.000000"].map(latency).join("\n")}
</distances>
`;
  const wrote = format === 3 ? "" : `<info name="hwlocVersion" value="${format}.0.0"/>\n`;
  const machine = `<object type="Machine" os_index="0" ${sets(format, cpus, NODES)} ` +
    `${allowed}allowed_nodeset="${hwlocSet(NODES)}">
${wrote}${distances}${packageXml(format, 0)}
${packageXml(format, 1)}
<object type="Misc" name="a note"${format === 1 ? "" : ' gp_index="99"'}/>
</object>
`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc${format === 1 ? "" : "2"}.dtd">
<topology${format === 1 ? "" : ` version="${format}.0"`}>
${machine}${extrasXml(format, machine)}</topology>
`;
}

/**
 * What hwloc's own library says of a file of format 1 or 2.
 *
 * @param path The file.
 * @returns The snapshot; undefined where hwloc refuses the file.
 */
export function hwlocsSnapshot(path: string): TopologySnapshot | undefined {
  const XML = 2;
  const out = new Uint8Array(1 << 24);
  const text = new TextEncoder().encode(`${path}\0`);
  const length = native().calls.nk_topology_export(XML, text, out, out.length);
  if (length < 0) return undefined;
  return parseDescription(new TextDecoder().decode(out.subarray(0, length)), null);
}

/**
 * A file of format 3 as one of format 2: what hwloc 2 does not know is left out.
 *
 * @param text The file.
 * @returns The text; `text` itself where it is of another format.
 */
export function asFormat2(text: string): string {
  if (!text.includes('<topology version="3.0">')) return text;
  return text.replace('<topology version="3.0">', '<topology version="2.0">')
    .replace(/^ {2}<(?:info|pci_locality|memtier) [^>]*>\n/gm, "");
}
