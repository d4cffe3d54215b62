import { rowOf } from "./fields.ts";
import { checkName, type RecordLayout } from "./layout.ts";

/** Names that a field can have here, and not in C or C++: each between two spaces. */
const KEYWORDS =
  " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t " +
  "char32_t char8_t class co_await co_return co_yield compl concept const const_cast " +
  "consteval constexpr constinit continue decltype default delete do double dynamic_cast " +
  "else enum explicit export extern false float for friend goto if inline int long mutable " +
  "namespace new noexcept not not_eq nullptr operator or or_eq private protected public " +
  "register reinterpret_cast requires restrict return short signed sizeof static " +
  "static_assert static_cast struct switch template this thread_local throw true try " +
  "typedef typeid typename typeof typeof_unqual union unsigned using virtual void volatile " +
  "wchar_t while xor xor_eq ";

/** The name of a field in C: with a `_` behind it where it would be a keyword. */
function nameInC(name: string, names: readonly string[]): string {
  if (!KEYWORDS.includes(` ${name} `)) return name;
  let inC = `${name}_`;
  while (names.includes(inC)) inC += "_";
  return inC;
}

/**
 * The declaration in C, and in C++, of a struct that is laid out as a layout says.
 *
 * @param layout The layout.
 * @param name The name of the struct.
 * @returns Lines of C.
 * @throws {NumaError} `EINVAL` a name that C does not take.
 */
export function declarationInC(layout: RecordLayout, name: string): string {
  const { names, fields, offsets, size, align } = layout;
  const struct = nameInC(checkName(name, "struct", "declare a struct in C"), []);
  const members = fields.map((field, index) => {
    const { c, isArray } = rowOf(field);
    const member = nameInC(names[index]!, names) + (isArray ? `[${field.size}]` : "");
    return `  ${c} ${member}; // at ${offsets[index]}`;
  });
  return [
    ...["#include <assert.h>", "#include <stdbool.h>", "#include <stdint.h>", ""],
    ...[`struct ${struct} {`, ...members, "};"],
    `static_assert(sizeof(struct ${struct}) == ${size}, "${size} bytes, aligned to ${align}");`,
    "",
  ].join("\n");
}
