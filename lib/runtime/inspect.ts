/**
 * Makes `console.log` show what `toString` says, on all three runtimes.
 *
 * @param type A class whose `toString` is made for people.
 */
export function showAsText(type: { readonly prototype: { toString(): string } }): void {
  Object.defineProperty(type.prototype, Symbol.for("nodejs.util.inspect.custom"), {
    configurable: true,
    value(this: { toString(): string }): string {
      return this.toString();
    },
  });
}
