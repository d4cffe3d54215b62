import { builtin } from "../../runtime/builtin.ts";

/** The kinds of events about pools. */
export type PoolEventName = "run" | "end" | "worker";

/**
 * A message on the channels `numakit:tasks:run`, `:end` and `:worker` of `node:diagnostics_channel`: a task was submitted, or
 * has ended; a worker has started, or has ended. Events are published in the thread that has the pool.
 */
export interface PoolEvent {
  /** The name of the pool. */
  readonly pool: string;
  /** The name of the task; undefined where the event is about a worker. */
  readonly task: string | undefined;
  /** The number of the task, the same when it ends; undefined where the event is about a worker. */
  readonly id: number | undefined;
  /** The worker that did it; undefined where none has. */
  readonly worker: number | undefined;
  /** What happened. */
  readonly outcome: "submitted" | "fulfilled" | "rejected" | "started" | "ended";
  /** Why a task was rejected, or what a worker ended with; undefined for neither. */
  readonly error: unknown;
}

/** A channel: nobody listens, or {@linkcode PoolChannel.publish}. */
export interface PoolChannel {
  /** Whether somebody listens. */
  readonly hasSubscribers: boolean;
  /** Tells all that listen. */
  publish(event: PoolEvent): void;
}

/**
 * The channel of a kind of events.
 *
 * @param name The kind.
 * @returns The channel.
 */
export function poolChannel(name: PoolEventName): PoolChannel {
  const all = builtin("node:diagnostics_channel");
  return all.channel(`numakit:tasks:${name}`) as unknown as PoolChannel;
}
