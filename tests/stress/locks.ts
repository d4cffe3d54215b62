import { type Lock, Mutex } from "../../mod.ts";

/** A lock for the torture. */
export interface TorturedLock {
  readonly name: string;
  /** Makes one, free and of its own memory. */
  readonly make: () => Lock;
  /** Whether it goes on when a holder dies. */
  readonly robust: boolean;
}

/** What is tortured. */
export const LOCKS: readonly TorturedLock[] = [
  {
    name: "Mutex",
    make: () => Mutex.create(new SharedArrayBuffer(Mutex.bytes())),
    robust: true,
  },
];
