/**
 * Says what `console.log` shows of a class's objects, on all three runtimes.
 *
 * @param type The class.
 * @param text What to show of one.
 */
export function showAs<Type>(
  type: { readonly prototype: Type },
  text: (value: Type) => string,
): void {
  Object.defineProperty(type.prototype, Symbol.for("nodejs.util.inspect.custom"), {
    configurable: true,
    value(this: Type): string {
      return text(this);
    },
  });
}
