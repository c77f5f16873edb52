/** What a person may read afterwards: the beginning, the end, and how much lay between them. */
export class KeptOutput {
  readonly #mostChars: number;
  #head = "";
  #tail = "";
  #chars = 0;

  /** @param mostChars of the beginning, and of the end */
  constructor(mostChars = 32_768) {
    this.#mostChars = mostChars;
  }

  push(text: string): void {
    this.#chars += text.length;
    const free = this.#mostChars - this.#head.length;
    this.#head += text.slice(0, free);
    this.#tail += text.slice(free);
    // Cutting copies all of it: not at each of a million short lines.
    if (this.#tail.length > 2 * this.#mostChars) this.#tail = this.#end;
  }

  get text(): string {
    const end = this.#end;
    const left = this.#chars - this.#head.length - end.length;
    return left === 0 ? this.#head + end : `${this.#head}\n[... ${left} characters ...]\n${end}`;
  }

  get #end(): string {
    return this.#tail.slice(-this.#mostChars);
  }
}
