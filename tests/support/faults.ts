import { native } from "../../lib/runtime/native.ts";

type Calls = ReturnType<typeof native>["calls"];
type Name = keyof Calls;

/**
 * Runs something while another function answers in the place of one of the C helper's, in this thread: a kernel that does
 * what none can be made to do.
 *
 * @param name The helper's function.
 * @param answer What answers. It is given the true function, bound to the true arguments, and these.
 * @param body What runs meanwhile.
 * @returns What the body returned, and how often the function was called.
 */
export function withAnswer<Key extends Name, Result>(
  name: Key,
  answer: (ask: () => number, ...args: Parameters<Calls[Key]>) => number,
  body: () => Result,
): { readonly result: Result; readonly asked: number } {
  const calls = native().calls as { -readonly [Each in Name]: Calls[Each] };
  const before = calls[name];
  let asked = 0;
  calls[name] = ((...args: Parameters<Calls[Key]>): number => {
    asked++;
    const ask = before as (...given: Parameters<Calls[Key]>) => number;
    return answer(() => ask(...args), ...args);
  }) as Calls[Key];
  try {
    return { result: body(), asked };
  } finally {
    calls[name] = before;
  }
}
