export class BoundedOutput {
  readonly #maxChars: number;
  #head = "";
  #tail = "";
  #chars = 0;

  /** @param maxChars of the beginning, and of the end */
  constructor(maxChars = 32_768) {
    this.#maxChars = maxChars;
  }

  push(text: string): void {
    this.#chars += text.length;
    const freeChars = this.#maxChars - this.#head.length;
    this.#head += text.slice(0, freeChars);
    this.#tail += text.slice(freeChars);
    // Cutting copies the whole tail: not at each line.
    if (this.#tail.length > 2 * this.#maxChars) this.#tail = this.#end;
  }

  get text(): string {
    const end = this.#end;
    const omittedChars = this.#chars - this.#head.length - end.length;
    return omittedChars === 0 ? this.#head + end : `${this.#head}\n[... ${omittedChars} characters ...]\n${end}`;
  }

  get #end(): string {
    return this.#tail.slice(-this.#maxChars);
  }
}
