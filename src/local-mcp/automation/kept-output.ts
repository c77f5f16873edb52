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
    this.#tail = (this.#tail + text.slice(free)).slice(-this.#mostChars);
  }

  get text(): string {
    const left = this.#chars - this.#head.length - this.#tail.length;
    return left === 0 ? this.#head + this.#tail : `${this.#head}\n[... ${left} characters ...]\n${this.#tail}`;
  }
}
