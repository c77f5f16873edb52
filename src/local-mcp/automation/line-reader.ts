/** Above what any answer to a coordinator may be, in characters. */
const usualMostChars = 300_000;

/** Makes lines of a text that comes in parts. The rest of one that is too long is passed over. */
export class LineReader {
  readonly #onLine: (line: string) => void;
  readonly #mostChars: number;
  #rest = "";

  constructor(onLine: (line: string) => void, mostChars = usualMostChars) {
    this.#mostChars = mostChars;
    this.#onLine = onLine;
  }

  push(text: string): void {
    let from = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", from)) {
      this.#keep(text.slice(from, end));
      this.#tell();
      from = end + 1;
    }
    this.#keep(text.slice(from));
  }

  /** The last line may have no end. */
  end(): void {
    if (this.#rest !== "") this.#tell();
  }

  #keep(text: string): void {
    if (this.#rest.length < this.#mostChars) this.#rest = (this.#rest + text).slice(0, this.#mostChars);
  }

  #tell(): void {
    const line = this.#rest;
    this.#rest = "";
    this.#onLine(line.endsWith("\r") ? line.slice(0, -1) : line);
  }
}
