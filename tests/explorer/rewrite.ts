/**
 * One source in stepwise form.
 *
 * ```
 *   Atomics.load(w, i)     ($.atomic(7, LOAD, w, i) && (yield), $.take())
 *   yield 10               ($.park(8, 10) && (yield), $.take())
 *   this.#next(me)         yield* this.#next$(me)
 *   lock.release(me)       yield* lock.release$(me), when there is such a method, else as it was
 *   words[i] = 1           $.set(9, words, i, 1)
 * ```
 *
 * `$.atomic` tells the explorer what this thread does next; when that picks another thread, it returns true, and the
 * whole stack of generators rests at the `yield`. `$.take` then does it.
 *
 * A function with steps is there twice: as a generator with a `$` at the end of its name, and under its own name as a
 * function that runs that generator to its end and throws when it has to rest. That one is for callbacks, constructors'
 * callers in `setup`, and others who know nothing of generators.
 *
 * The rest of the text stays as it is, types included: TypeScript takes them out afterwards.
 *
 * @module
 */

import ts from "typescript";
import {
  atomicsCall,
  bare,
  type FunctionNode,
  hasDirectStep,
  HOST_CALLS,
  isAtomicStep,
  isCallback,
  isFunction,
  isGenerator,
  LEADING,
  nameText,
  referredName,
} from "./names.ts";
import { KINDS, LOAD } from "./ops.ts";
import { AccessRewriter, type PrivateKind, type Scope } from "./rewrite_accesses.ts";

/** Steps with an order of their own, and the methods of the runtime for them. */
const ORDERED: Readonly<Record<string, string>> = {
  loadFollowing: "following",
  [LEADING]: "leading",
};

/** Rewrites one source. */
export class Rewriter extends AccessRewriter {
  /** The text in stepwise form, still with types. */
  run(): string {
    const text = this.copy(this.source);
    return this.#declare(this.scope.temps) + text;
  }

  #declare(temps: readonly string[]): string {
    return temps.length === 0 ? "" : `let ${temps.join(", ")};`;
  }

  protected override emit(node: ts.Node): string {
    if (ts.isTypeNode(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) {
      return node.getText(this.source);
    }
    if (isFunction(node)) return this.#function(node);
    if (ts.isClassLike(node)) return this.#class(node);
    if (ts.isBlock(node) || ts.isSourceFile(node)) return this.copy(node);
    if (node.kind === ts.SyntaxKind.ThisKeyword) return this.scope.self;
    if (ts.isIdentifier(node) && node.text === "Atomics") {
      this.fail(node.parent, "Atomics can only be called, as Atomics.f(…)");
    }
    return this.#expression(node) ?? this.copy(node);
  }

  #expression(node: ts.Node): string | undefined {
    if (ts.isCallExpression(node)) return this.#call(node);
    if (ts.isNewExpression(node)) return this.#new(node);
    if (ts.isYieldExpression(node)) return this.#yield(node);
    if (ts.isBinaryExpression(node)) return this.assignment(node);
    if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) {
      return this.increment(node);
    }
    if (ts.isElementAccessExpression(node)) return this.element(node);
    if (ts.isPropertyAccessExpression(node)) return this.property(node);
    if (ts.isObjectBindingPattern(node)) this.checkPattern(node);
    if (ts.isVariableDeclaration(node) || ts.isForOfStatement(node)) return this.pattern(node);
    return undefined;
  }

  // Functions

  #within<Result>(scope: Scope, run: () => Result): Result {
    const before = this.scope;
    this.scope = scope;
    try {
      return run();
    } finally {
      this.scope = before;
    }
  }

  #parameters(fn: FunctionNode): string {
    // They run before the body's own variables exist, and cannot yield.
    const scope = { generator: false, what: "in a parameter", temps: [], self: this.scope.self };
    const list = this.#within(scope, () => fn.parameters.map((p) => this.copy(p)).join(", "));
    if (scope.temps.length > 0) this.fail(fn, "a parameter's default is too much");
    return `(${list})`;
  }

  /** A body in braces. */
  #body(fn: FunctionNode, scope: Scope): string {
    return this.#within(scope, () => {
      if (ts.isBlock(fn.body)) {
        const inner = this.copy(fn.body).slice(1);
        return `{${this.#declare(scope.temps)}${inner}`;
      }
      const value = this.emit(fn.body);
      return `{${this.#declare(scope.temps)}return ${value};}`;
    });
  }

  #function(fn: FunctionNode): string {
    const arrow = ts.isArrowFunction(fn);
    const self = arrow ? this.scope.self : "this";
    if (isGenerator(fn)) return this.#generator(fn);
    if (!this.names.stepping.has(fn)) {
      if (isCallback(fn) && hasDirectStep(fn)) {
        this.fail(fn, "a step in a callback that cannot become a generator");
      }
      const scope = { generator: false, what: "in a plain function", temps: [], self };
      return this.#replaceBody(fn, scope);
    }
    if ((ts.getCombinedModifierFlags(fn as ts.Declaration) & ts.ModifierFlags.Async) !== 0) {
      this.fail(fn, "a step in an async function");
    }
    const scope = { generator: true, what: "", temps: [], self };
    const parameters = this.#parameters(fn);
    if (arrow || ts.isFunctionExpression(fn)) {
      if (!arrow) return `$.closure(function* ${parameters} ${this.#body(fn, scope)})`;
      const own = { ...scope, self: "$this" };
      const made = `$.closure(function* ${parameters} ${this.#body(fn, own)})`;
      return `(($this) => ${made})(${self})`;
    }
    const body = this.#body(fn, scope);
    if (ts.isConstructorDeclaration(fn)) {
      if (fn.parent.heritageClauses?.some((c) => c.token === ts.SyntaxKind.ExtendsKeyword)) {
        this.fail(fn, "a step in the constructor of a class that extends another");
      }
      return `constructor(...$a) { if ($a[0] !== $.LATER) $.finish(this.$init(...$a)); } ` +
        `*$init${parameters} ${body}`;
    }
    const name = fn.name?.getText(this.source);
    if (name === undefined || nameText(fn.name) === undefined) {
      this.fail(fn, "a step in a function without a plain name");
    }
    const isStatic =
      (ts.getCombinedModifierFlags(fn as ts.Declaration) & ts.ModifierFlags.Static) !== 0
        ? "static "
        : "";
    if (ts.isFunctionDeclaration(fn)) {
      const modifiers = fn.modifiers?.map((m) => m.getText(this.source)).join(" ") ?? "";
      return `function* ${name}$${parameters} ${body} ` +
        `${modifiers} function ${name}(...$a) { return $.finish(${name}$.apply(this, $a)); } ` +
        `${name}.step$ = ${name}$;`;
    }
    const separator = ts.isObjectLiteralExpression(fn.parent) ? "," : "";
    const run = (method: string): string => `$.finish(this.${method}(...$a))`;
    if (ts.isGetAccessorDeclaration(fn)) {
      return `${isStatic}*${name}$get() ${body}${separator} ` +
        `${isStatic}get ${name}() { return $.finish(this.${name}$get()); }`;
    }
    if (ts.isSetAccessorDeclaration(fn)) {
      return `${isStatic}*${name}$set${parameters} ${body}${separator} ` +
        `${isStatic}set ${name}($a) { $.finish(this.${name}$set($a)); }`;
    }
    return `${isStatic}*${name}$${parameters} ${body}${separator} ` +
      `${isStatic}${name}(...$a) { return ${run(`${name}$`)}; }`;
  }

  /** A function whose code has no steps, or that is a generator anyway. */
  #replaceBody(fn: FunctionNode, scope: Scope): string {
    const start = fn.getStart(this.source);
    const head = this.source.text.slice(start, fn.body.getStart(this.source));
    if (!/[=[(]/.test(fn.parameters.map((p) => p.getText(this.source)).join())) {
      return head + this.#body(fn, scope);
    }
    const before = fn.parameters[0]?.getStart(this.source) ?? start;
    const after = fn.parameters.at(-1)?.end ?? before;
    return this.source.text.slice(start, before) + this.#parameters(fn).slice(1, -1) +
      this.source.text.slice(after, fn.body.getStart(this.source)) + this.#body(fn, scope);
  }

  #generator(fn: FunctionNode): string {
    const waits = /^Wait<|^Generator<\s*number\s*,[\s\S]*,\s*boolean\s*>$/.test(
      fn.type?.getText(this.source) ?? "",
    );
    const what = "in a generator that does not say that it is a Wait";
    return this.#replaceBody(fn, { generator: waits, what, temps: [], self: "this" });
  }

  #class(node: ts.ClassLikeDeclaration): string {
    const privates = new Map<string, PrivateKind>();
    for (const member of node.members) {
      if (member.name === undefined || !ts.isPrivateIdentifier(member.name)) continue;
      const kind = !this.names.stepping.has(member)
        ? "plain"
        : ts.isMethodDeclaration(member)
        ? "method"
        : "getter";
      // Of a getter and a setter of one name, the one with steps counts.
      if (kind !== "plain" || !privates.has(member.name.text)) {
        privates.set(
          member.name.text,
          kind === "plain" && ts.isPropertyDeclaration(member) ? "plain" : kind,
        );
      }
    }
    this.privates.push(privates);
    const scope = { generator: false, what: "in a field's initializer", temps: [], self: "this" };
    const text = this.#within(scope, () => this.copy(node));
    this.privates.pop();
    if (scope.temps.length > 0) this.fail(node, "a field's initializer is too much");
    return text;
  }

  // Steps

  #list(nodes: readonly ts.Node[] | undefined): string {
    return (nodes ?? []).map((node) => this.emit(node)).join(", ");
  }

  #call(node: ts.CallExpression): string | undefined {
    const atomic = atomicsCall(node);
    if (atomic !== undefined) return this.#atomic(node, atomic);
    const callee = bare(node.expression);
    if (ts.isElementAccessExpression(callee)) {
      // As a callee it must stay one: the object is its `this`.
      return `${this.copy(callee)}(${this.#list(node.arguments)})`;
    }
    if (ts.isIdentifier(callee) && callee.text === "fence") return "$.fence()";
    const name = referredName(callee);
    if (name === undefined || !this.names.calls.has(name)) return undefined;
    if (!this.scope.generator) {
      if (
        ts.isPropertyAccessExpression(callee) && ts.isPrivateIdentifier(callee.name) &&
        this.privateKind(callee.name.text) === "method"
      ) {
        const object = this.emit(callee.expression);
        return `$.finish(${object}.${callee.name.text}$(${this.#list(node.arguments)}))`;
      }
      return undefined;
    }
    if (node.questionDotToken !== undefined || ts.isOptionalChain(callee)) {
      this.fail(node, "a step behind ?.");
    }
    return ts.isPropertyAccessExpression(callee)
      ? this.#method(node, callee, name)
      : this.#closureCall(this.emit(callee), "undefined", node.arguments);
  }

  /** Calls what may be a function with steps, in whatever variable or property it is. */
  #closureCall(callee: string, self: string, args: readonly ts.Node[]): string {
    const [fn, step, result] = [this.temp(), this.temp(), this.temp()];
    const list = args.length === 0 ? "" : `, ${this.#list(args)}`;
    return `(${fn} = ${callee}, ${step} = ${fn}.step$, ` +
      `${result} = (${step} ?? ${fn}).call(${self}${list}), ` +
      `${step} !== undefined ? yield* ${result} : ${result})`;
  }

  #method(node: ts.CallExpression, callee: ts.PropertyAccessExpression, name: string): string {
    const member = callee.name.text;
    const args = this.#list(node.arguments);
    if (ts.isPrivateIdentifier(callee.name)) {
      const object = this.emit(callee.expression);
      const kind = this.privateKind(member);
      if (kind === "method") return `(yield* ${object}.${member}$(${args}))`;
      const self = this.temp();
      return this.#closureCall(`(${self} = ${object}).${member}`, self, node.arguments);
    }
    if (callee.expression.kind === ts.SyntaxKind.SuperKeyword) {
      return `(super.${member}$ !== undefined ? yield* super.${member}$(${args}) : super.${member}(${args}))`;
    }
    const [self, step, result] = [this.temp(), this.temp(), this.temp()];
    const list = args === "" ? "" : `, ${args}`;
    const dynamic = (rest: string): string =>
      `${step} = ${self}.${member}$ ?? ${self}.${member}.step$, ` +
      `${result} = (${step} ?? ${self}.${member}).call(${self}${rest}), ` +
      `${step} !== undefined ? yield* ${result} : ${result}`;
    const object = this.emit(callee.expression);
    if (HOST_CALLS.includes(name) && node.arguments.length < 2) {
      const argument = this.temp();
      const kind = KINDS.indexOf(name);
      return `(${self} = ${object}, ${argument} = ${
        args === "" ? "0" : args
      }, ${self} instanceof $.Host` +
        ` ? ($.host(${this.siteOf(node)}, ${kind}, ${self}, ${argument}) && (yield), $.take())` +
        ` : (${dynamic(`, ${argument}`)}))`;
    }
    return `(${self} = ${object}, ${dynamic(list)})`;
  }

  #atomic(node: ts.CallExpression, name: string): string | undefined {
    if (name === "pause") return "undefined";
    if (name === "isLockFree") {
      return `globalThis.Atomics.isLockFree(${this.#list(node.arguments)})`;
    }
    if (!isAtomicStep(name)) this.fail(node, "not a step that the explorer knows");
    if (!this.scope.generator) this.fail(node, `a step ${this.scope.what}`);
    const list = this.#list(node.arguments);
    const step = ORDERED[name] !== undefined
      ? `$.${ORDERED[name]}(${this.siteOf(node)}, ${list})`
      : `$.atomic(${this.siteOf(node)}, ${Math.max(LOAD, KINDS.indexOf(name))}, ${list})`;
    return `(${step} && (yield), $.take())`;
  }

  #new(node: ts.NewExpression): string | undefined {
    const name = referredName(node.expression);
    if (!this.scope.generator || !this.names.classes.has(name ?? "")) return undefined;
    return `(yield* $.make(${this.emit(node.expression)}, [${this.#list(node.arguments)}]))`;
  }

  #yield(node: ts.YieldExpression): string {
    const value = node.expression === undefined ? "undefined" : this.emit(node.expression);
    if (node.asteriskToken !== undefined) return `(yield* ${value})`;
    if (!this.scope.generator) this.fail(node, `a sleep ${this.scope.what}`);
    return `($.park(${this.siteOf(node)}, ${value}) && (yield), $.take())`;
  }
}
