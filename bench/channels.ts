/**
 * What channels cost: against messages.
 */
import { MessageChannel, type Transferable } from "node:worker_threads";
import { Channel, CpuSet, launch, MessageRing, Policy } from "../mod.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { cpusFor } from "./threads.ts";
import type { ChannelsResult, ChannelsTask, Link } from "./workers/channels.ts";

const PAIRS = 500;
/** Bytes of a message. */
const BYTES = 64;
const STREAM = 1_000_000;
const MESSAGES = 16_384;
const ROUND_TRIPS = 100_000;
const SLOW_ROUND_TRIPS = 4000;

type Codec = "bytes" | "f64";

function channelOf(codec: Codec): Channel<never> {
  const options = { codec, senders: 2 } as const;
  const memory = new SharedArrayBuffer(Channel.bytes(options));
  return Channel.create(memory, options) as unknown as Channel<never>;
}

interface Ends {
  readonly links: readonly [Link, Link];
  readonly transfer?: readonly Transferable[];
}

function channels(codec: Codec): Ends {
  const link: Link = { kind: "channel", there: channelOf(codec), back: channelOf(codec), codec };
  return { links: [link, link] };
}

function ports(): Ends {
  const { port1, port2 } = new MessageChannel();
  return {
    links: [{ kind: "port", port: port1 }, { kind: "port", port: port2 }],
    transfer: [port1, port2],
  };
}

/** Two threads on CPUs of their own. */
function between(
  name: string,
  task: Pick<ChannelsTask, "count" | "batch" | "echo" | "sleeps">,
  make: () => Ends,
): Subject {
  return {
    name,
    repeats: 1,
    async self(): Promise<number> {
      const { links, transfer } = make();
      const cpus = cpusFor(2);
      const threads = links.map((link, index) =>
        launch<ChannelsResult>(new URL("./workers/channels.ts", import.meta.url), {
          policy: Policy.bindCpus(CpuSet.of(cpus[index] as number)),
          args: {
            ...task,
            bytes: BYTES,
            link,
            role: index === 0 ? "timed" : "other",
          } satisfies ChannelsTask,
          ...(transfer !== undefined && { transfer: [transfer[index] as Transferable] }),
        })
      );
      const results = await Promise.all(threads.map((thread) => thread.join()));
      const valid = results.every(({ cpu }, index) => cpu === cpus[index]);
      return valid ? (results[0] as ChannelsResult).cost : NaN;
    },
  };
}

/** The loops are written out, as a user's would be. */
function pairs(): Subject[] {
  const ring = MessageRing.create(new SharedArrayBuffer(MessageRing.bytes()));
  const channel = channelOf("bytes") as unknown as Channel<Uint8Array>;
  const message = new Uint8Array(BYTES);
  const target = new Uint8Array(BYTES);
  return [
    {
      name: "MessageRing",
      operations: PAIRS,
      batch(): void {
        for (let index = 0; index < PAIRS; index++) {
          ring.tryPush(message);
          ring.tryPopInto(target);
        }
        sink.value = target;
      },
    },
    {
      name: "Channel",
      operations: PAIRS,
      batch(): void {
        for (let index = 0; index < PAIRS; index++) {
          channel.trySend(message);
          sink.value = channel.tryReceive();
        }
      },
    },
    {
      name: "structuredClone",
      operations: PAIRS,
      batch(): void {
        for (let index = 0; index < PAIRS; index++) sink.value = structuredClone(message);
      },
    },
  ];
}

/** What is compared. */
export function comparisons(): Comparison[] {
  const stream = { count: STREAM, batch: 1, echo: false, sleeps: false };
  const slowly = { ...stream, count: MESSAGES };
  const trips = { count: ROUND_TRIPS, batch: 1, echo: true, sleeps: false };
  const asleep = { ...trips, count: SLOW_ROUND_TRIPS, sleeps: true };
  return [
    { name: `a message of ${BYTES} bytes put in and taken out, in one thread`, subjects: pairs() },
    {
      name: `a message of ${BYTES} bytes from one thread to another`,
      subjects: [
        between("Channel", stream, () => channels("bytes")),
        between("postMessage", slowly, ports),
      ],
    },
    {
      name: "the same, eight at a time",
      subjects: [
        between("Channel", { ...stream, batch: 8 }, () => channels("bytes")),
        between("postMessage", slowly, ports),
      ],
    },
    {
      name: "a number from one thread to another, eight at a time",
      subjects: [
        between("Channel", { ...stream, batch: 8 }, () => channels("f64")),
        between("postMessage", slowly, ports),
      ],
    },
    {
      name: `a round trip of ${BYTES} bytes, both awake`,
      subjects: [
        between("Channel", trips, () => channels("bytes")),
        between("postMessage", { ...trips, count: SLOW_ROUND_TRIPS }, ports),
      ],
    },
    {
      name: `a round trip of ${BYTES} bytes, both at their event loops`,
      subjects: [
        between("Channel", asleep, () => channels("bytes")),
        between("postMessage", asleep, ports),
      ],
    },
  ];
}
