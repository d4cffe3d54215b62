/**
 * What lives in a mapping and has to know when the thread lets go of it: locks that the thread holds, waits of its.
 *
 * Memory knows nothing of locks: they register themselves here.
 *
 * @module
 */

/** Something in a mapping, as one thread sees it. */
export interface Tenant {
  /** Whether the thread holds something there that others may be waiting for. */
  holds(): boolean;
  /** Ends the thread's waits there, whose promises reject. Nothing of the thread waits there afterwards. */
  endWaits(): void;
  /** Leaves what the thread holds there to the others, as a thread that dies does. */
  abandon(): void;
}

/** This thread's, by mapping and name. */
const tenants = /* @__PURE__ */ new Map<number, Map<string, Tenant>>();

/**
 * Registers a tenant.
 *
 * @param identity The mapping's.
 * @param name Tells it from the mapping's others; replaces the one of the same name.
 * @param tenant The tenant. Must not keep alive what it is for, or is never forgotten; except a `SharedMutex`, which the
 * thread's table of them keeps as long as the arena anyway.
 */
export function settle(identity: number, name: string, tenant: Tenant): void {
  const known = tenants.get(identity) ?? new Map<string, Tenant>();
  tenants.set(identity, known.set(name, tenant));
}

/**
 * Forgets a tenant whose object is gone, unless the thread holds something there: that is told at the mapping's end. One
 * that has taken its name meanwhile stays.
 *
 * @param identity The mapping's.
 * @param name Its name.
 * @param tenant The tenant.
 */
export function forget(identity: number, name: string, tenant: Tenant): void {
  const known = tenants.get(identity);
  if (known?.get(name) !== tenant || tenant.holds()) return;
  known.delete(name);
  if (known.size === 0) tenants.delete(identity);
}

/**
 * Ends this thread's waits in a mapping.
 *
 * @param identity The mapping's.
 * @returns Whether the thread holds something there.
 */
export function endWaits(identity: number): boolean {
  let holds = false;
  for (const tenant of [...tenants.get(identity)?.values() ?? []]) {
    tenant.endWaits();
    holds ||= tenant.holds();
  }
  return holds;
}

/**
 * Lets everything that this thread has in a mapping go, before its views die.
 *
 * @param identity The mapping's.
 */
export function evict(identity: number): void {
  if (!tenants.has(identity)) return;
  endWaits(identity);
  for (const tenant of tenants.get(identity)?.values() ?? []) tenant.abandon();
  tenants.delete(identity);
}
