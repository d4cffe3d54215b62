/**
 * Rewriting of what is no call: properties with getters and setters that have steps, patterns that read them, and elements
 * of arrays, which may be plain accesses to shared memory.
 *
 * @module
 */

import ts from "typescript";
import { bare, isElement, type Names, nameText } from "./names.ts";
import { LOAD, STORE } from "./ops.ts";

/** Where a step is in the sources. */
export interface Site {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** A function being rewritten. */
export interface Scope {
  /** Whether steps can be here. */
  readonly generator: boolean;
  /** Why not, for errors. */
  readonly what: string;
  /** Names of its variables that are not in the source. */
  readonly temps: string[];
  /** What `this` is called here, when it is another function's. */
  readonly self: string;
}

const COMPOUND = /^([-+*/%&|^]|<<|>>>?|\*\*)=$/;

/** What a private member of a class is: with steps, or plain. */
export type PrivateKind = "method" | "getter" | "plain";

/** The part of a rewriter that knows accesses. */
export abstract class AccessRewriter {
  protected readonly source: ts.SourceFile;
  protected readonly file: string;
  protected readonly names: Names;
  protected readonly sites: Site[];
  protected scope: Scope = {
    generator: false,
    what: "at the top of a module",
    temps: [],
    self: "this",
  };
  protected temps = 0;
  /** Names of private methods, getters and setters of the classes around, by what they are. */
  protected privates: ReadonlyMap<string, PrivateKind>[] = [];

  constructor(source: ts.SourceFile, file: string, names: Names, sites: Site[]) {
    this.source = source;
    this.file = file;
    this.names = names;
    this.sites = sites;
  }

  /** A node's text in stepwise form. */
  protected abstract emit(node: ts.Node): string;

  protected fail(node: ts.Node, why: string): never {
    const { line } = this.source.getLineAndCharacterOfPosition(node.getStart(this.source));
    throw new Error(
      `${this.file}:${line + 1}: ${why}: ${node.getText(this.source).slice(0, 80)}`,
    );
  }

  protected siteOf(node: ts.Node): number {
    const { line } = this.source.getLineAndCharacterOfPosition(node.getStart(this.source));
    const text = node.getText(this.source).replaceAll(/\s+/g, " ");
    return this.sites.push({ file: this.file, line: line + 1, text }) - 1;
  }

  protected temp(): string {
    const name = `$${++this.temps}`;
    this.scope.temps.push(name);
    return name;
  }

  /** A node's text with what is in it rewritten. */
  protected copy(node: ts.Node): string {
    const { text } = this.source;
    let out = "";
    let at = ts.isSourceFile(node) ? 0 : node.getStart(this.source);
    ts.forEachChild(node, (child) => {
      const start = child.getStart(this.source);
      if (start < at) return;
      out += text.slice(at, start) + this.emit(child);
      at = child.end;
    });
    return out + text.slice(at, node.end);
  }

  protected privateKind(name: string): PrivateKind | undefined {
    for (const privates of this.privates.toReversed()) {
      const kind = privates.get(name);
      if (kind !== undefined) return kind;
    }
    return undefined;
  }

  // Properties with steps

  protected property(node: ts.PropertyAccessExpression): string | undefined {
    const name = nameText(node.name) ?? "";
    if (!this.names.getters.has(name) || !this.scope.generator) {
      if (ts.isPrivateIdentifier(node.name) && this.privateKind(node.name.text) === "method") {
        this.fail(node, "a method with steps can only be called");
      }
      return undefined;
    }
    const member = node.name.text;
    if (ts.isPrivateIdentifier(node.name)) {
      if (this.privateKind(member) !== "getter") return undefined;
      return `(yield* ${this.emit(node.expression)}.${member}$get())`;
    }
    if (
      node.questionDotToken !== undefined || node.expression.kind === ts.SyntaxKind.SuperKeyword
    ) {
      this.fail(node, "a step behind ?. or super");
    }
    return this.#get(this.emit(node.expression), member);
  }

  #get(object: string, member: string): string {
    const self = this.temp();
    return `(${self} = ${object}, ${self}.${member}$get !== undefined` +
      ` ? yield* ${self}.${member}$get() : ${self}.${member})`;
  }

  #hasGetter(name: ts.Node): boolean {
    return ts.isObjectBindingPattern(name) && this.scope.generator &&
      name.elements.some((e) => this.names.getters.has(nameText(e.propertyName ?? e.name) ?? ""));
  }

  protected checkPattern(node: ts.ObjectBindingPattern): void {
    if (this.#hasGetter(node)) this.fail(node, "a step in a pattern");
  }

  /** The parts of a simple pattern that reads getters, as declarations. */
  #parts(pattern: ts.ObjectBindingPattern, from: string, first: string): string {
    return pattern.elements.map((element, index) => {
      const member = nameText(element.propertyName ?? element.name);
      if (
        element.initializer !== undefined || element.dotDotDotToken !== undefined ||
        member === undefined || !ts.isIdentifier(element.name)
      ) {
        this.fail(element, "a step in a pattern");
      }
      return `${element.name.text} = ${this.#get(index === 0 ? first : from, member)}`;
    }).join(", ");
  }

  protected pattern(node: ts.VariableDeclaration | ts.ForOfStatement): string | undefined {
    if (ts.isVariableDeclaration(node)) {
      if (!this.#hasGetter(node.name) || node.initializer === undefined) return undefined;
      const from = this.temp();
      const first = `(${from} = ${this.emit(node.initializer)})`;
      return this.#parts(node.name as ts.ObjectBindingPattern, from, first);
    }
    const list = node.initializer;
    const [declaration] = ts.isVariableDeclarationList(list) ? list.declarations : [];
    if (declaration === undefined || !this.#hasGetter(declaration.name)) return undefined;
    const item = this.temp();
    const parts = this.#parts(declaration.name as ts.ObjectBindingPattern, item, item);
    return `for (${item} of ${this.emit(node.expression)}) { const ${parts}; ${
      this.emit(node.statement)
    } }`;
  }

  // Plain accesses

  protected element(node: ts.ElementAccessExpression): string | undefined {
    if (!isElement(node)) return undefined;
    const { expression, argumentExpression: index } = node;
    const place = `${this.siteOf(node)}, `;
    const element = `${this.emit(expression)}, ${this.emit(index)}`;
    if (!this.#plainSteps()) return `$.get(${place}${element})`;
    return `($.plain(${place}${LOAD}, ${element}) && (yield), $.take())`;
  }

  /** Whether plain accesses are steps here. */
  #plainSteps(): boolean {
    return this.scope.generator && this.names.plainSteps.has(this.source);
  }

  protected assignment(node: ts.BinaryExpression): string | undefined {
    const operator = node.operatorToken.getText(this.source);
    const isPlain = operator === "=";
    if (!isPlain && !COMPOUND.test(operator) && !/^(\?\?|\|\||&&)=$/.test(operator)) {
      return undefined;
    }
    const target = bare(node.left);
    if (ts.isPropertyAccessExpression(target)) return this.#assignProperty(node, target, isPlain);
    if (!ts.isElementAccessExpression(target)) return undefined;
    const site = this.siteOf(node);
    const array = this.emit(target.expression);
    const index = this.emit(target.argumentExpression);
    if (isPlain) {
      const element = `${array}, ${index}, ${this.emit(node.right)}`;
      if (!this.#plainSteps()) return `$.set(${site}, ${element})`;
      return `($.plain(${site}, ${STORE}, ${element}) && (yield), $.take())`;
    }
    if (!COMPOUND.test(operator)) this.fail(node, "not an assignment that the explorer knows");
    const [a, i] = [this.temp(), this.temp()];
    return `(${a} = ${array}, ${i} = ${index}, ` +
      `$.set(${site}, ${a}, ${i}, $.get(${site}, ${a}, ${i}) ${operator.slice(0, -1)} (${
        this.emit(node.right)
      })))`;
  }

  #assignProperty(
    node: ts.BinaryExpression,
    target: ts.PropertyAccessExpression,
    isPlain: boolean,
  ): string | undefined {
    const name = nameText(target.name) ?? "";
    const { getters, setters } = this.names;
    if (!this.scope.generator || !(getters.has(name) || setters.has(name))) {
      // Not through property: this is no read.
      return `${this.copy(target)} ${node.operatorToken.getText(this.source)} ${
        this.emit(node.right)
      }`;
    }
    const isPrivate = ts.isPrivateIdentifier(target.name);
    if (isPrivate && this.privateKind(target.name.text) === "plain") return undefined;
    if (!isPlain) this.fail(node, "an assignment with steps has to be written out");
    const member = target.name.text;
    const [self, value] = [this.temp(), this.temp()];
    const found = isPrivate ? `${setters.has(name)}` : `${self}.${member}$set !== undefined`;
    return `(${self} = ${this.emit(target.expression)}, ${value} = ${this.emit(node.right)}, ` +
      `${found} ? yield* ${self}.${member}$set(${value}) : ${self}.${member} = ${value})`;
  }

  protected increment(
    node: ts.PrefixUnaryExpression | ts.PostfixUnaryExpression,
  ): string | undefined {
    const { PlusPlusToken, MinusMinusToken } = ts.SyntaxKind;
    if (node.operator !== PlusPlusToken && node.operator !== MinusMinusToken) return undefined;
    const target = bare(node.operand);
    if (ts.isPropertyAccessExpression(target)) {
      if (
        this.scope.generator && this.names.getters.has(nameText(target.name) ?? "") &&
        this.privateKind(target.name.text) !== "plain"
      ) {
        this.fail(node, "an assignment with steps has to be written out");
      }
      const text = this.copy(target);
      const sign = node.operator === PlusPlusToken ? "++" : "--";
      return ts.isPrefixUnaryExpression(node) ? sign + text : text + sign;
    }
    if (!ts.isElementAccessExpression(target)) return undefined;
    const delta = node.operator === PlusPlusToken ? 1 : -1;
    const array = this.emit(target.expression);
    const index = this.emit(target.argumentExpression);
    return `$.update(${this.siteOf(node)}, ${array}, ${index}, ${delta}, ${
      ts.isPostfixUnaryExpression(node)
    })`;
  }
}
