import { writeFileSync } from "node:fs";
import { table, type Row } from "./figures.ts";

/** The parts of one bench: those that were named on the command line, or all. */
export class Parts {
  readonly #wanted = process.argv.slice(2);
  readonly #rows: Row[] = [];
  readonly #names: string[] = [];

  async run(name: string, measure: () => Promise<Row[]>): Promise<void> {
    this.#names.push(name);
    if (this.#wanted.length > 0 && !this.#wanted.includes(name)) return;
    console.error(`measuring ${name} ...`);
    this.#rows.push(...(await measure()));
  }

  /** Prints the table, and writes it as JSON. */
  report(file: string): void {
    const unknown = this.#wanted.filter((name) => !this.#names.includes(name));
    if (unknown.length > 0) console.error(`There is no part ${unknown.join(", ")}, only ${this.#names.join(", ")}.`);
    if (this.#rows.length === 0) return void (process.exitCode = 2);
    const at = new Date().toISOString();
    console.log(
      `node ${process.version}, ${process.platform} ${process.arch}, ${at.slice(0, 10)}\n\n${table(this.#rows)}`,
    );
    writeFileSync(file, `${JSON.stringify({ node: process.version, at, rows: this.#rows }, null, 2)}\n`);
  }
}
