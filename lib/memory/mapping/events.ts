import { builtin } from "../../runtime/builtin.ts";

/** What happens to memory. */
export type MemoryEventName = "create" | "destroy" | "exhausted" | "migrated";

/**
 * What the channels `numakit:memory:create`, `:destroy`, `:exhausted` and `:migrated` of `node:diagnostics_channel` tell.
 * Events are published in the thread in which they happen.
 */
export interface MemoryEvent {
  /** What it is about: an arena's label, or what kind of memory the runtime owns. */
  readonly label: string;
  /** The arena's identity in this process; undefined for memory that the runtime owns. */
  readonly identity: number | undefined;
  /** The node; undefined where there are several. */
  readonly node: number | undefined;
  /** Bytes made, let go, asked for in vain, or moved. */
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
