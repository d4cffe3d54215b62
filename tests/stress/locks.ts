import {
  CnaLock,
  CohortLock,
  type Lock,
  McsLock,
  Mutex,
  RwLock,
  RwSpinLock,
  TicketLock,
} from "../../mod.ts";
/** A lock for the torture. */
export interface TorturedLock {
  readonly name: string;
  /** Makes one, free and of its own memory. */
  readonly make: () => Lock;
  /** Whether it goes on when a holder dies. */
  readonly robust: boolean;
}

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** What is tortured. */
export const LOCKS: readonly TorturedLock[] = [
  { name: "Mutex", make: () => Mutex.create(shared(Mutex.bytes())), robust: true },
  { name: "McsLock", make: () => McsLock.create(shared(McsLock.bytes())), robust: false },
  { name: "TicketLock", make: () => TicketLock.create(shared(TicketLock.bytes())), robust: false },
  { name: "CnaLock", make: () => CnaLock.create(shared(CnaLock.bytes())), robust: false },
  { name: "CohortLock", make: () => CohortLock.create(shared(CohortLock.bytes())), robust: false },
  {
    name: "RwLock's write side",
    make: () => RwLock.create(shared(RwLock.bytes())).write,
    robust: true,
  },
  {
    name: "RwSpinLock's write side",
    make: () => RwSpinLock.create(shared(RwSpinLock.bytes())).write,
    robust: false,
  },
];
