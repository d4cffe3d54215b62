/**
 * What a thread tells those that listen to it.
 *
 * @module
 */

/** A listener for a thread's messages. */
export type ThreadMessageListener = (value: unknown) => void;

/**
 * `"message"`: a message of the thread's module. `"messageerror"`: the error of a message that could not be received.
 */
export type ThreadEvent = "message" | "messageerror";
