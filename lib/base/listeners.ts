import { show } from "./check.ts";
import { NumaError } from "./error.ts";

type Listener = (value: never) => void;

/**
 * The listeners of one object, by event.
 *
 * @typeParam Events What each event tells.
 */
export class Listeners<Events extends object> {
  readonly #sets: ReadonlyMap<string, Set<Listener>>;
  readonly #action: string;

  /**
   * @param events The events that there are.
   * @param action What adding a listener is, as it follows "Cannot".
   */
  constructor(events: readonly (keyof Events & string)[], action: string) {
    this.#sets = new Map(events.map((event) => [event, new Set()]));
    this.#action = action;
  }

  /**
   * Adds a listener, unless it is there already.
   *
   * @param event The event.
   * @param listener What is called.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  add(event: unknown, listener: unknown): void {
    this.#of(event, listener).add(listener as Listener);
  }

  /**
   * Removes a listener, if it is there.
   *
   * @param event The event.
   * @param listener What was added.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  remove(event: unknown, listener: unknown): void {
    this.#of(event, listener).delete(listener as Listener);
  }

  /** Whether somebody listens. */
  has(event: keyof Events & string): boolean {
    return this.#sets.get(event)!.size > 0;
  }

  /**
   * Calls those that listen now. What one of them throws is thrown where nobody catches it, as by an EventEmitter, but the
   * others are called, and the caller goes on.
   *
   * @param event The event.
   * @param value What it tells.
   */
  tell<Event extends keyof Events & string>(event: Event, value: Events[Event]): void {
    for (const listener of [...this.#sets.get(event)!]) {
      try {
        listener(value as never);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #of(event: unknown, listener: unknown): Set<Listener> {
    const set = typeof event === "string" ? this.#sets.get(event) : undefined;
    if (set !== undefined && typeof listener === "function") return set;
    const events = [...this.#sets.keys()].map((name) => `"${name}"`).join(" or ");
    throw new NumaError("EINVAL", this.#action, {
      why: set === undefined ? `the event is ${show(event)}` : `the listener is ${show(listener)}`,
      fix: `Give ${events}, and a function.`,
    });
  }
}
