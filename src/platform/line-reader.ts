/**
 * Splits text that comes in parts at "\n" alone: JSON may hold the other separators of lines. Skips
 * the rest of a line that is too long.
 */
export class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #maxChars: number;
  #buffer = "";

  constructor(onLine: (line: string) => void, maxChars: number) {
    this.#maxChars = maxChars;
    this.#onLine = onLine;
  }

  push(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      this.#append(text.slice(from, end));
      this.#emitLine();
      from = end + 1;
    }
    this.#append(text.slice(from));
  }

  end(): void {
    if (this.#buffer !== "") this.#emitLine();
  }

  #append(text: string): void {
    if (this.#buffer.length < this.#maxChars) this.#buffer = (this.#buffer + text).slice(0, this.#maxChars);
  }

  #emitLine(): void {
    const line = this.#buffer;
    this.#buffer = "";
    this.#onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}
