import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { createPrivateFile } from "../platform/private-files.ts";
import { pluralize } from "../shared/format.ts";
import type { Sql } from "../shared/sql.ts";
import * as meta from "./meta.ts";

/** The newest write of a database. */
export interface Mark {
  /** Epoch ms: tells the database from another one. */
  readonly madeAt: number;
  readonly number: number;
}

/**
 * File beside a database with the mark of its newest write, by which the next opener sees that
 * some are gone: SQLite takes a database whose log is lost, cut or another's for a sound one.
 * Written after each commit and not flushed, so it is never ahead of what the disk has.
 */
export class MarkFile {
  readonly #path: string;
  #file: number | null = null;

  constructor(path: string) {
    this.#path = path;
  }

  /** One that cannot be written only stays behind. */
  write({ madeAt, number }: Mark): void {
    try {
      if (this.#file === null) {
        createPrivateFile(this.#path);
        this.#file = openSync(this.#path, "r+");
      }
      const line = `${String(madeAt).padStart(digits, "0")} ${String(number).padStart(digits, "0")}\n`;
      writeSync(this.#file, line + line, 0);
    } catch {
      this.close();
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

const digits = 16;

export function writeMark(path: string, mark: Mark): void {
  const file = new MarkFile(path);
  file.write(mark);
  file.close();
}

/** @returns null where none can be read: it stands there twice, as a write may be met half-way */
export function readMark(path: string): Mark | null {
  try {
    const [, madeAt, number] = /^(\d{16}) (\d{16})\n\1 \2\n$/.exec(readFileSync(path, "utf8")) ?? [];
    return number === undefined ? null : { madeAt: Number(madeAt), number: Number(number) };
  } catch {
    return null;
  }
}

const name = "writes";
const keyOf = (madeAt: number): string => `${name}:${madeAt}`;

/** In one row: pages of another database's log may take the place of some of the file's. */
export function markOf(sql: Sql): Mark {
  const [row] = meta.listOf(sql, name);
  if (row) return { madeAt: Number(row.key.slice(name.length + 1)), number: Number(row.value) };
  const [first] = sql.all<{ at: number }>("SELECT appliedAt AS at FROM migrations WHERE id = 1");
  return { madeAt: first?.at ?? 0, number: 0 };
}

/** Part of a write that has changed something. */
export function countWrite(sql: Sql, madeAt: number): Mark {
  const [row] = sql.all<{ value: string }>(
    "INSERT INTO meta (key, value) VALUES (?, '1') ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value",
    keyOf(madeAt),
  );
  return { madeAt, number: Number(row?.value) };
}

/** No number of that mark is used again. */
export function countPast(sql: Sql, mark: Mark | null): void {
  const { madeAt, number } = markOf(sql);
  meta.write(sql, keyOf(madeAt), String(Math.max(number, mark?.number ?? 0) + 1));
}

/** Pure. Loss of a database that should have the write of a mark, in words; null: it has it. */
export function lossOf(present: Mark, mark: Mark | null): string | null {
  if (mark === null) return null;
  if (present.madeAt !== mark.madeAt) return "lost its newest writes: it has those of another database";
  const lost = mark.number - present.number;
  return lost > 0 ? `lost its newest ${pluralize(lost, "write")}` : null;
}
