/** Line ends and indentation are not part of the expression. */
export function pattern(source: TemplateStringsArray, ...parts: readonly string[]): string {
  return String.raw(source, ...parts).replaceAll(/\n\s*/g, "");
}

/** Compiling takes up to a millisecond, and a hook needs few of the dozens of expressions. */
export class LazyRegExp {
  readonly source: string;
  readonly #flags: string;
  #compiled: RegExp | null = null;

  constructor(source: string, flags: string) {
    this.source = source;
    this.#flags = flags;
  }

  get #expression(): RegExp {
    return (this.#compiled ??= new RegExp(this.source, this.#flags));
  }

  test(text: string): boolean {
    return this.#expression.test(text);
  }

  exec(text: string): RegExpExecArray | null {
    return this.#expression.exec(text);
  }

  /** Requires the flag `g`. */
  matchAll(text: string): Iterable<RegExpExecArray> {
    return text.matchAll(this.#expression);
  }

  [Symbol.replace](text: string, replacement: string): string {
    return this.#expression[Symbol.replace](text, replacement);
  }

  [Symbol.split](text: string, limit?: number): string[] {
    return this.#expression[Symbol.split](text, limit);
  }
}
