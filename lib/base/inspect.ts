/**
 * Says what `console.log` shows of a class's objects, on all three runtimes.
 *
 * @param type The class.
 * @param text What to show of one.
 * @returns The class, for a field of it: where a bundler leaves the class out, it leaves this out as well. A class with no
 * other use for the field reads it in its constructor, so that it is not reported as unused.
 */
export function showAs<Class extends { readonly prototype: object }>(
  type: Class,
  text: (value: Class["prototype"]) => string,
): Class {
  Object.defineProperty(type.prototype, Symbol.for("nodejs.util.inspect.custom"), {
    configurable: true,
    value(this: Class["prototype"]): string {
      return text(this);
    },
  });
  return type;
}
