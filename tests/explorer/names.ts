/**
 * Which functions contain steps, by name.
 *
 * There are no types here: a call `x.close()` may be a step as soon as any method of the sources called `close` contains
 * one. That is decided again at run time (`rewrite.ts`), so that a name taken for too much costs time and nothing else.
 *
 * @module
 */

import ts from "typescript";

/** `Atomics` functions that are steps; the others are refused, but for those that do nothing to memory. */
export const ATOMICS: readonly string[] = [
  "load",
  "store",
  "exchange",
  "compareExchange",
  "add",
  "sub",
  "and",
  "or",
  "xor",
];

/** Functions of `lib/wait/loads.ts` that are atomic loads. */
export const LOADS: readonly string[] = ["loadShared", "loadFollowing", "glance"];
/** The one there that is an atomic store. */
export const LEADING: string = "storeLeading";

/** Methods of a thread's waiter and of the world that are steps. */
export const HOST_CALLS: readonly string[] = [
  "pause",
  "spin",
  "unpark",
  "alive",
  "now",
  "choose",
];

/** Methods of arrays and the like that call back at once: what they are given cannot become a generator. */
const CALL_BACK =
  /^(map|forEach|some|every|find|findLast|findIndex|findLastIndex|filter|flatMap|reduce|reduceRight|sort|toSorted|from|replace|replaceAll)$/;

/** What is known of a set of sources. */
export interface Names {
  /** What is called: functions, methods (without #), variables and properties that hold closures. */
  readonly calls: ReadonlySet<string>;
  readonly getters: ReadonlySet<string>;
  readonly setters: ReadonlySet<string>;
  /** Classes whose constructors contain steps. */
  readonly classes: ReadonlySet<string>;
  /** Functions that become generators. */
  readonly stepping: ReadonlySet<ts.Node>;
  /** Sources whose plain accesses are steps. */
  readonly plainSteps: ReadonlySet<ts.Node>;
}

/** Functions of any kind that have a body. */
export type FunctionNode = ts.FunctionLikeDeclaration & { readonly body: ts.Node };

/** Whether a node is a function with a body. */
export function isFunction(node: ts.Node): node is FunctionNode {
  return ts.isFunctionLike(node) && (node as ts.FunctionLikeDeclaration).body !== undefined;
}

/** Whether a function is written as a generator. */
export function isGenerator(node: ts.Node): boolean {
  return (ts.isFunctionDeclaration(node) || ts.isFunctionExpression(node) ||
    ts.isMethodDeclaration(node)) && node.asteriskToken !== undefined;
}

/** A name without the mark of a private one; nothing for a computed one. */
export function nameText(name: ts.Node | undefined): string | undefined {
  if (name === undefined) return undefined;
  if (ts.isIdentifier(name) || ts.isStringLiteral(name)) return name.text;
  return ts.isPrivateIdentifier(name) ? name.text.slice(1) : undefined;
}

/** What is inside parentheses, `as`, `satisfies` and `!`. */
export function bare(node: ts.Node): ts.Node {
  let inner = node;
  while (
    ts.isParenthesizedExpression(inner) || ts.isAsExpression(inner) ||
    ts.isSatisfiesExpression(inner) || ts.isNonNullExpression(inner)
  ) inner = inner.expression;
  return inner;
}

/** Name of what is called, or read: of `x.name`, `x.#name` and `name`. */
export function referredName(expression: ts.Node): string | undefined {
  const node = bare(expression);
  if (ts.isIdentifier(node)) return node.text;
  return ts.isPropertyAccessExpression(node) ? nameText(node.name) : undefined;
}

/** Which `Atomics` function a node calls, or which one of `lib/wait/loads.ts`. */
export function atomicsCall(node: ts.Node): string | undefined {
  if (!ts.isCallExpression(node)) return undefined;
  if (ts.isIdentifier(node.expression)) {
    const { text } = node.expression;
    return LOADS.includes(text) || text === LEADING ? text : undefined;
  }
  if (!ts.isPropertyAccessExpression(node.expression)) return undefined;
  const { expression, name } = node.expression;
  return ts.isIdentifier(expression) && expression.text === "Atomics" ? name.text : undefined;
}

/** Whether what {@linkcode atomicsCall} found is a step. */
export function isAtomicStep(name: string): boolean {
  return ATOMICS.includes(name) || LOADS.includes(name) || name === LEADING;
}

/** Whether a node reads or writes an element of an array, as far as one can see. */
export function isElement(node: ts.Node): node is ts.ElementAccessExpression {
  return ts.isElementAccessExpression(node) && !ts.isStringLiteral(node.argumentExpression) &&
    !ts.isOptionalChain(node);
}

/** Whether a closure is handed to a method that calls it at once and knows nothing of generators. */
export function isCallback(node: ts.Node): boolean {
  if (!ts.isArrowFunction(node) && !ts.isFunctionExpression(node)) return false;
  const call = node.parent;
  return ts.isCallExpression(call) && call.expression !== node &&
    ts.isPropertyAccessExpression(call.expression) && CALL_BACK.test(call.expression.name.text);
}

/** Whether a function contains a step that no name has to be known for. */
export function hasDirectStep(fn: FunctionNode): boolean {
  return contains(fn.body, (node) => {
    const atomic = atomicsCall(node);
    return atomic !== undefined && isAtomicStep(atomic);
  });
}

/** Looks at a function's own code, not at that of functions in it. */
function contains(node: ts.Node, test: (node: ts.Node) => boolean): boolean {
  if (isFunction(node) || ts.isTypeNode(node)) return false;
  if (test(node)) return true;
  return ts.forEachChild(node, (child) => contains(child, test)) ?? false;
}

/** Grows the sets until nothing changes. */
class Finder {
  readonly calls: Set<string> = new Set(HOST_CALLS);
  readonly getters: Set<string> = new Set();
  readonly setters: Set<string> = new Set();
  readonly classes: Set<string> = new Set();
  readonly stepping: Set<ts.Node> = new Set();
  readonly plainSteps: ReadonlySet<ts.Node>;
  /** Functions whose result is a closure with steps. */
  readonly #makers = new Set<string>();
  readonly #functions: FunctionNode[] = [];
  /** Places where a value gets a name: what it is called there, and the value. */
  readonly #flows: { readonly names: readonly string[]; readonly value: ts.Node }[] = [];
  readonly #parameters = new Map<string, (readonly (string | undefined)[])[]>();

  constructor(sources: readonly ts.SourceFile[], plainSteps: ReadonlySet<ts.Node>) {
    this.plainSteps = plainSteps;
    for (const source of sources) this.#collect(source);
    for (const source of sources) this.#collectArguments(source);
    let before = -1;
    while (before !== this.#size()) {
      before = this.#size();
      for (const fn of this.#functions) {
        if (!this.stepping.has(fn) && !isCallback(fn) && contains(fn.body, (n) => this.isStep(n))) {
          this.#mark(fn);
        }
        const maker = this.#makerName(fn);
        if (maker !== undefined && contains(fn.body, (n) => this.#returnsClosure(n))) {
          this.#makers.add(maker);
        }
      }
      for (const { names, value } of this.#flows) {
        if (this.#isClosure(value)) { for (const name of names) this.calls.add(name); }
      }
    }
  }

  /** Whether a node, by itself, may be a step. */
  isStep(node: ts.Node): boolean {
    if (ts.isYieldExpression(node)) return true;
    if (isElement(node)) return this.plainSteps.has(node.getSourceFile());
    const atomic = atomicsCall(node);
    if (atomic !== undefined) return isAtomicStep(atomic);
    if (ts.isCallExpression(node)) return this.calls.has(referredName(node.expression) ?? "");
    if (ts.isNewExpression(node)) return this.classes.has(referredName(node.expression) ?? "");
    if (ts.isPropertyAccessExpression(node)) {
      const name = nameText(node.name) ?? "";
      return this.getters.has(name) || this.setters.has(name);
    }
    if (ts.isBindingElement(node) && ts.isObjectBindingPattern(node.parent)) {
      return this.getters.has(nameText(node.propertyName ?? node.name) ?? "");
    }
    return false;
  }

  #makerName(fn: FunctionNode): string | undefined {
    if (fn.name !== undefined) return nameText(fn.name);
    return ts.isVariableDeclaration(fn.parent) ? nameText(fn.parent.name) : undefined;
  }

  #returnsClosure(node: ts.Node): boolean {
    if (ts.isArrowFunction(node.parent) && node.parent.body === node) return this.#isClosure(node);
    return ts.isReturnStatement(node) && node.expression !== undefined &&
      this.#isClosure(node.expression);
  }

  #size(): number {
    return this.calls.size + this.getters.size + this.setters.size + this.classes.size +
      this.stepping.size + this.#makers.size;
  }

  #mark(fn: FunctionNode): void {
    // A generator keeps its name: calling it is no step, and `yield*` runs it.
    if (isGenerator(fn)) return;
    this.stepping.add(fn);
    const name = nameText(fn.name);
    if (ts.isConstructorDeclaration(fn)) this.classes.add(nameText(fn.parent.name) ?? "");
    else if (name === undefined) return;
    else if (ts.isGetAccessorDeclaration(fn)) this.getters.add(name);
    else if (ts.isSetAccessorDeclaration(fn)) this.setters.add(name);
    else this.calls.add(name);
  }

  /** Whether a value is a function with steps, as far as one can see. */
  #isClosure(value: ts.Node): boolean {
    const node = bare(value);
    if (isFunction(node)) return this.stepping.has(node);
    if (ts.isConditionalExpression(node)) {
      return this.#isClosure(node.whenTrue) || this.#isClosure(node.whenFalse);
    }
    if (ts.isBinaryExpression(node)) {
      return this.#isClosure(node.left) || this.#isClosure(node.right);
    }
    if (ts.isCallExpression(node)) return this.#makers.has(referredName(node.expression) ?? "");
    return this.calls.has(referredName(node) ?? "");
  }

  #collect(node: ts.Node): void {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node)) return;
    if (isFunction(node)) {
      this.#functions.push(node);
      const name = ts.isConstructorDeclaration(node)
        ? nameText(node.parent.name)
        : nameText(node.name);
      if (name !== undefined) {
        const list = this.#parameters.get(name) ?? [];
        list.push(node.parameters.map((parameter) => nameText(parameter.name)));
        this.#parameters.set(name, list);
      }
    }
    const flow = (name: string | undefined, value: ts.Node | undefined): void => {
      if (name !== undefined && value !== undefined) this.#flows.push({ names: [name], value });
    };
    if (ts.isVariableDeclaration(node) || ts.isPropertyDeclaration(node)) {
      flow(nameText(node.name), node.initializer);
    } else if (ts.isPropertyAssignment(node)) flow(nameText(node.name), node.initializer);
    else if (
      ts.isBinaryExpression(node) && node.operatorToken.kind === ts.SyntaxKind.EqualsToken
    ) flow(referredName(node.left), node.right);
    ts.forEachChild(node, (child) => this.#collect(child));
  }

  #collectArguments(node: ts.Node): void {
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) {
      const lists = this.#parameters.get(referredName(node.expression) ?? "") ?? [];
      for (const [index, value] of (node.arguments ?? []).entries()) {
        const names = lists.map((list) => list[index]).filter((name) => name !== undefined);
        if (names.length > 0) this.#flows.push({ names, value });
      }
    }
    ts.forEachChild(node, (child) => this.#collectArguments(child));
  }
}

/**
 * Finds out what contains steps.
 *
 * @param sources All sources of a program, with parent pointers.
 * @param plainSteps Those of them whose plain accesses are steps.
 * @returns The names.
 */
export function findNames(
  sources: readonly ts.SourceFile[],
  plainSteps: ReadonlySet<ts.Node>,
): Names {
  return new Finder(sources, plainSteps);
}
