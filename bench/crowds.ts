/**
 * What rings for more than two threads cost: `MpmcRing` with more threads than CPUs, `BroadcastRing` with consumers on
 * another CPU.
 */
import { MessageChannel } from "node:worker_threads";
import { BroadcastRing, CpuSet, launch, MpmcRing, Policy } from "../mod.ts";
import type { Comparison, Subject } from "./harness.ts";
import { cpusFor, threads } from "./threads.ts";
import type { BroadcastsResult, BroadcastsTask, Medium } from "./workers/broadcasts.ts";

/** How many threads put records into a ring, and take them out. */
const CROWD = 8;
const CONSUMERS = [1, 2];
const RECORDS = 1 << 21;
/** Through messages. */
const FEW_RECORDS = 1 << 17;

/** A ring that many threads use at once: beside one that has it alone. */
export function manyToMany(): Comparison[] {
  const ring = (count: number): Subject =>
    threads("MpmcRing", count, () => ({
      ring: MpmcRing.create(new SharedArrayBuffer(MpmcRing.bytes())),
    }));
  return [{
    name: `a record put in and taken out, eight at a time, by ${CROWD} threads on ${
      new Set(cpusFor(CROWD)).size
    } CPUs`,
    subjects: [ring(CROWD), ring(1), ring(2)],
  }];
}

/** How the producer, and each consumer, gets at it. */
interface Ends {
  readonly producer: Medium;
  readonly consumers: readonly Medium[];
}

function overRing(consumers: number): Ends {
  const ring = BroadcastRing.create(new SharedArrayBuffer(BroadcastRing.bytes()));
  const medium: Medium = { kind: "ring", ring };
  return { producer: medium, consumers: Array.from({ length: consumers }, () => medium) };
}

function overPorts(consumers: number): Ends {
  const channels = Array.from({ length: consumers }, () => new MessageChannel());
  return {
    producer: { kind: "ports", ports: channels.map(({ port1 }) => port1) },
    consumers: channels.map(({ port2 }): Medium => ({ kind: "ports", ports: [port2] })),
  };
}

let names = 0;

function overChannel(consumers: number): Ends {
  const medium: Medium = { kind: "channel", name: `numakit bench ${names++}` };
  return { producer: medium, consumers: Array.from({ length: consumers }, () => medium) };
}

/** One producer on one CPU, all consumers on the other one. */
function broadcast(name: string, count: number, ends: Ends): Promise<number> {
  const [first, second] = cpusFor(2) as [number, number];
  const done = new Int32Array(new SharedArrayBuffer(128 * (1 + ends.consumers.length))).fill(-1);
  const start = (medium: Medium, index: number) =>
    launch<BroadcastsResult>(new URL("./workers/broadcasts.ts", import.meta.url), {
      policy: Policy.bindCpus(CpuSet.of(index === 0 ? first : second)),
      args: {
        ...{ medium, index, count, done },
        consumers: ends.consumers.length,
      } satisfies BroadcastsTask,
      transfer: medium.kind === "ports" ? [...medium.ports] : [],
    });
  const running = [ends.producer, ...ends.consumers].map(start);
  return Promise.all(running.map((thread) => thread.join())).then((results) => {
    if (results.some(({ missed }) => missed > 0)) throw new Error(`${name}: a record was missed`);
    const valid = results.every(({ cpu }, index) => cpu === (index === 0 ? first : second));
    return valid ? (results[0] as BroadcastsResult).cost : NaN;
  });
}

/** Records that all consumers get. */
export function broadcasts(): Comparison[] {
  const subject = (name: string, count: number, makeEnds: () => Ends): Subject => ({
    ...{ name, repeats: 1 },
    self: () => broadcast(name, count, makeEnds()),
  });
  return CONSUMERS.map((consumers) => ({
    name: `a record from one thread to ${consumers} on another CPU, eight at a time`,
    subjects: [
      subject("BroadcastRing", RECORDS, () => overRing(consumers)),
      subject("postMessage to each", FEW_RECORDS, () => overPorts(consumers)),
      subject("BroadcastChannel", FEW_RECORDS, () => overChannel(consumers)),
    ],
  }));
}
