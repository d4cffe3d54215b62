/**
 * What is known of a class that is fuzzed.
 */
import type { Handle } from "../../mod.ts";
import type { AsyncWaitOptions, BlockOptions, SyncMemory } from "../../lib/sync/mod.ts";

/** Gives memory of that size. */
export type Memory = (bytes: number) => SyncMemory;
/** Right arguments, new ones each time. */
export type Right<Type> = (object: Type) => readonly unknown[];
/** Ends what keeps others waiting. */
export type Release = () => void;

/** What has to be known of a class. */
export interface SyncKind<Type extends object = object> {
  /** The exported class that it shows. */
  readonly type: unknown;
  make(memory: Memory): Type;
  /** Right arguments of all methods. */
  readonly methods: Readonly<Record<string | symbol, Right<Type>>>;
  /** Right arguments of all static methods, with the memory that there has to be room in. */
  readonly statics: Readonly<Record<string, (object: Type, memory: Memory) => readonly unknown[]>>;
  /** Makes that its waits have to wait, where they do not do so by themselves. */
  hold?(object: Type): Promise<Release>;
  /** Lets all go on that wait. */
  end?(object: Type): void;
  /** Fails unless it works. Nobody else uses it, but a call may have left it held. */
  use?(object: Type): void | Promise<void>;
}

/** A short wait, also on the main thread. */
export const blocks = (): BlockOptions => ({ timeoutMs: 1, block: true });
/** A short wait that does not block. */
export const waits = (): AsyncWaitOptions => ({
  timeoutMs: 1,
  signal: new AbortController().signal,
});
/** One that ends at once when it has to wait. */
export const NOW: BlockOptions = { timeoutMs: 0, block: true };
/** One that should not end by its time. */
export const LONG: BlockOptions = { timeoutMs: 1000, block: true };
/** Options with few threads. */
export const THREADS: { readonly threads: number } = { threads: 32 };
/** The same, with statistics. */
export const TOLD: { readonly threads: number; readonly statistics: boolean } = {
  ...THREADS,
  statistics: true,
};
/** No arguments. */
export const none = (): readonly unknown[] => [];

/** What can be created. */
export interface Creator {
  bytes(options: never): number;
  create(...args: never[]): object;
}

/** The rows of statics, which all are alike. */
export function statics<Type extends { toHandle(): Handle }>(
  type: Creator,
  options: object,
  ...between: readonly unknown[]
): SyncKind<Type>["statics"] {
  const bytes = () => type.bytes({ ...options } as never);
  return {
    create: (_, memory) => [memory(bytes()), ...between, { ...options }],
    bytes: () => [{ ...options }],
    fromHandle: (object) => [object.toHandle()],
  };
}

/** Creates one in memory of its size. */
export function create<Type>(
  type: Creator,
  memory: Memory,
  options: object,
  ...between: readonly unknown[]
): Type {
  const room = memory(type.bytes(options as never));
  return type.create(...[room, ...between, options] as never[]) as Type;
}

/** An exported function. */
export interface SyncFunction {
  readonly call: (...args: readonly unknown[]) => unknown;
  /** Makes right arguments. */
  readonly right: () => readonly unknown[];
  /** Takes back what a call did. */
  undo(): void;
}
