/**
 * Scenes of maps, caches and channels: what is on the node that asks for it, and what crosses nodes.
 */
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Arena, Cache, Channel, HashMap, ReplicatedMap, ShardedMap } from "../../mod.ts";
import { type AnyMap, MESSAGE_BYTES, NaiveTable } from "./map_works.ts";
import {
  cpuOf,
  lastNode,
  nodes,
  nothing,
  onEachNode,
  type Prepared,
  type Scene,
  sharedPlace,
  type Variant,
} from "./scene.ts";

/** Entries, each of which one thread reads once. */
const ENTRIES = 4096;
const CACHED = 1024;
const MESSAGES = 4096;
/** Messages that are sent at once. */
const AT_ONCE = 32;
/** Small enough that the sender's own cache keeps the lines of a lane from lap to lap. */
const LANE_BYTES = 16_384;

/** Numbers that are in no order, and not 0. */
const KEYS: Uint32Array = Uint32Array.from(
  { length: ENTRIES },
  (_, index) => (1 + index) * 2_654_435 % 2 ** 24,
);

/** Deals keys to the nodes: as a function says, or each node as many as another one. */
function deal<Key>(
  keys: Iterable<Key>,
  homeOf: ((key: Key) => number) | undefined,
): Key[][] {
  const all = nodes();
  const lists: Key[][] = all.map(() => []);
  let next = 0;
  for (const key of keys) {
    const home = homeOf === undefined ? next++ % all.length : all.indexOf(homeOf(key));
    lists[home]?.push(key);
  }
  return lists;
}

function arenasOn(places: readonly number[], size: string): Arena[] {
  return places.map((node) => Arena.create({ node, size, pages: "4k" }));
}

/** What arenas are called in the counts, and what ends them. */
function inArenas(
  arenas: readonly Arena[],
  operations: number,
  jobs: Prepared["jobs"],
): Prepared {
  return {
    jobs,
    ranges: Object.fromEntries(
      arenas.map((arena, index) => [`part ${index}`, arena.view(0, arena.used)]),
    ),
    operations,
    end: () => arenas.forEach((arena) => arena.destroy()),
  };
}

/** Threads on all nodes that read a map, each its share of the keys. */
function mapJobs(
  map: AnyMap | Int32Array,
  homeOf?: (key: number) => number,
): Prepared["jobs"] {
  const lists = deal(KEYS, homeOf);
  return onEachNode((index) => {
    const keys = Uint32Array.from(lists[index] as number[]);
    return { kind: "read map", map, keys, times: keys.length };
  });
}

const OPTIONS = { capacity: ENTRIES, key: "u32", value: "u32", threads: 32 } as const;

function shardedMap(name: string, isRouted: boolean): Variant {
  return {
    name,
    ours: true,
    make() {
      const arenas = arenasOn(nodes(), "2 MiB");
      const map = ShardedMap.create(arenas, OPTIONS);
      map.setMany(KEYS, KEYS.map((key) => 3 * key));
      const jobs = mapJobs(map, isRouted ? (key) => map.homeOf(key) : undefined);
      return inArenas(arenas, ENTRIES, jobs);
    },
  };
}

function maps(): Scene {
  return {
    name: "a map of 4,096 numbers, each of which a thread on one of the nodes reads",
    operation: "a read",
    variants: [
      shardedMap("ShardedMap, each key on its home", true),
      shardedMap("ShardedMap, each key on any node", false),
      {
        name: "ReplicatedMap",
        ours: true,
        make() {
          const arenas = arenasOn(nodes(), "4 MiB");
          const map = ReplicatedMap.create(arenas, OPTIONS);
          for (const key of KEYS) map.set(key, 3 * key);
          return inArenas(arenas, ENTRIES, mapJobs(map));
        },
      },
      {
        name: "HashMap on the first node",
        ours: true,
        make() {
          const arenas = arenasOn([0], "2 MiB");
          const map = HashMap.create(arenas[0] as Arena, OPTIONS);
          map.setMany(KEYS, KEYS.map((key) => 3 * key));
          return inArenas(arenas, ENTRIES, mapJobs(map));
        },
      },
      {
        name: "open addressing in a SharedArrayBuffer, under a mutex",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(NaiveTable.bytes(2 * ENTRIES));
          const words = new Int32Array(place.shared).fill(0);
          const table = new NaiveTable(words);
          for (const key of KEYS) table.set(key, 3 * key);
          return {
            jobs: mapJobs(words),
            ranges: { shared: bytes },
            operations: ENTRIES,
            end: nothing,
          };
        },
      },
    ],
  };
}

function cache(name: string, isSpread: boolean): Variant {
  return {
    name,
    ours: true,
    make() {
      const arenas = arenasOn(isSpread ? nodes() : [0], "4 MiB");
      const all = Cache.create(arenas, { capacity: "1 MiB", threads: 32 });
      const keys = Array.from({ length: CACHED }, (_, index) => `/articles/${index}`);
      for (const key of keys) all.set(key, new Uint8Array(MESSAGE_BYTES));
      const lists = deal(keys, isSpread ? (key) => all.homeOf(key) : undefined);
      const jobs = onEachNode((index) => {
        const own = lists[index] as string[];
        return { kind: "read cache", cache: all, keys: own, times: own.length };
      });
      return inArenas(arenas, CACHED, jobs);
    },
  };
}

function caches(): Scene {
  return {
    name: "a cache of 1,024 values, each of which a thread on one of the nodes reads",
    operation: "a hit",
    variants: [
      cache("Cache with a part on each node, each key on its home", true),
      cache("Cache on the first node", false),
    ],
  };
}

/** A thread on the first node sends, and one on the last node receives: through a channel, or through two ports. */
function talkers(
  ends: Channel<Uint8Array> | readonly [MessagePort, MessagePort],
  batch: number,
): Prepared["jobs"] {
  const job = (kind: "send" | "receive", node: number, end: Channel<Uint8Array> | MessagePort) => ({
    cpu: cpuOf(node),
    work: { kind, channel: end, batch, times: MESSAGES },
    transfer: end instanceof Channel ? [] : [end],
  });
  const [sender, receiver] = ends instanceof Channel ? [ends, ends] : ends;
  return [job("send", nodes()[0] as number, sender), job("receive", lastNode(), receiver)];
}

function channel(name: string, batch: number): Variant {
  return {
    name,
    ours: true,
    make() {
      const arenas = arenasOn([lastNode()], "1 MiB");
      const options = { codec: "bytes", capacity: LANE_BYTES, senders: 1, threads: 32 } as const;
      const made = Channel.create(arenas[0] as Arena, options) as Channel<Uint8Array>;
      return inArenas(arenas, MESSAGES, talkers(made, batch));
    },
  };
}

function channels(): Scene {
  return {
    name: "messages of 60 bytes, from a thread on the first node to one on the last node",
    operation: "a message",
    variants: [
      channel(`Channel, ${AT_ONCE} at once`, AT_ONCE),
      channel("Channel, one at a time", 1),
      {
        name: "postMessage (all lines of both CPUs)",
        ours: false,
        make() {
          const { port1, port2 } = new MessageChannel();
          return {
            jobs: talkers([port1, port2], 1),
            ranges: {},
            counts: "cpus",
            operations: MESSAGES,
            end: nothing,
          };
        },
      },
    ],
  };
}

/** The scenes of maps, caches and channels, in the order of the table. */
export function mapScenes(): readonly Scene[] {
  return [maps(), caches(), channels()];
}
