import type { Io } from "./io.ts";
import { oneLine, safe } from "./screen-text.ts";

/** Rows of a terminal that are written over: how far things are. */

export interface Row {
  readonly label: string;
  /** 0 to 1; null: there is nothing to measure it by. */
  readonly share: number | null;
  readonly note: string;
}

const barCells = 20;

/** Cut to less than the width: a row that wraps could not be written over. */
function rowText({ label, share, note }: Row, columns: number): string {
  const measure = share === null ? "" : `${bar(share)} `;
  const text = note === "" ? label : `${label} ${note}`;
  return safe(`${measure}${oneLine(text, columns - 1 - measure.length)}`.slice(0, columns - 1));
}

function bar(share: number): string {
  const bounded = Math.max(0, Math.min(1, share));
  // Only what is done looks full.
  const full = Math.floor(bounded * barCells);
  return `${"█".repeat(full)}${"░".repeat(barCells - full)} ${String(Math.floor(bounded * 100)).padStart(3)} %`;
}

/** The rows at the end of the terminal, each time in the place of those before. */
export class ProgressRows {
  readonly #io: Io;
  #height = 0;

  constructor(io: Io) {
    this.#io = io;
  }

  show(all: readonly Row[]): void {
    const { columns, rows } = this.#io.size();
    const most = Math.max(1, rows - 2);
    const shown = all.length > most ? all.slice(0, most - 1) : all;
    const lines = shown.map((row) => rowText(row, columns));
    if (shown.length < all.length) lines.push(`... and ${all.length - shown.length} more`);
    this.#write(lines);
  }

  clear(): void {
    if (this.#height > 0) this.#write([]);
  }

  #write(lines: readonly string[]): void {
    const up = this.#height === 0 ? "" : `\u001b[${this.#height}A\r\u001b[J`;
    this.#io.stdout(`${up}${lines.map((line) => `${line}\n`).join("")}`);
    this.#height = lines.length;
  }
}
