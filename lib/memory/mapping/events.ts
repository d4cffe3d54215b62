import { builtin } from "../../runtime/builtin.ts";

/** The kinds of events about memory. */
export type MemoryEventName = "create" | "destroy" | "exhausted" | "migrated";

/**
 * A message on the channels `numakit:memory:create`, `:destroy`, `:exhausted` and `:migrated` of
 * `node:diagnostics_channel`. Events are published in the thread in which they happen.
 */
export interface MemoryEvent {
  /** The label of the arena, or the kind of the runtime's memory. */
  readonly label: string;
  /** The arena's identity in this process; undefined for memory that the runtime owns. */
  readonly identity: number | undefined;
  /** The node; undefined where there are several. */
  readonly node: number | undefined;
  /** The bytes that were created, released, refused or moved. */
  readonly bytes: number;
}

/**
 * Tells whoever listens. Free of cost while nobody does, but for looking.
 *
 * @param name What happened.
 * @param event Makes the message.
 */
export function publish(name: MemoryEventName, event: () => MemoryEvent): void {
  const channel = builtin("node:diagnostics_channel").channel(`numakit:memory:${name}`);
  if (channel.hasSubscribers) channel.publish(event());
}
