import type { Io } from "../../io.ts";
import { oneLine, safeText } from "../../screen-text.ts";

export interface ProgressRow {
  readonly label: string;
  /** 0 to 1; null: unknown. */
  readonly share: number | null;
  readonly note: string;
}

const barCells = 20;

function rowText({ label, share, note }: ProgressRow, columns: number): string {
  const measure = share === null ? "" : `${bar(share)} `;
  const text = note === "" ? label : `${label} ${note}`;
  return safeText(`${measure}${oneLine(text, columns - 1 - measure.length)}`.slice(0, columns - 1));
}

function bar(share: number): string {
  const bounded = Math.max(0, Math.min(1, share));
  // Rounded down, so that only what is done looks full.
  const full = Math.floor(bounded * barCells);
  return `${"█".repeat(full)}${"░".repeat(barCells - full)} ${String(Math.floor(bounded * 100)).padStart(3)} %`;
}

export class ProgressRows {
  readonly #io: Io;
  #height = 0;

  constructor(io: Io) {
    this.#io = io;
  }

  show(all: readonly ProgressRow[]): void {
    const { columns, rows } = this.#io.size();
    const maxRows = Math.max(1, rows - 2);
    const visibleRows = all.length > maxRows ? all.slice(0, maxRows - 1) : all;
    const lines = visibleRows.map((row) => rowText(row, columns));
    if (visibleRows.length < all.length) lines.push(`... and ${all.length - visibleRows.length} more`);
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
