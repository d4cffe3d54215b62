/** What runs a function in the next turn of the event loop, after what has happened meanwhile. */
const inNextTurn: (call: () => void) => unknown =
  (globalThis as { setImmediate?: (call: () => void) => unknown }).setImmediate ??
    ((call) => setTimeout(call, 0));

function schedule(resolve: () => void): void {
  inNextTurn(resolve);
}

/**
 * Lets the event loop turn.
 *
 * @returns Resolves in its next turn.
 */
export function turn(): Promise<void> {
  return new Promise(schedule);
}
