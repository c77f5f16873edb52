import type { Sql } from "../shared/sql.ts";
import * as meta from "./meta.ts";

/** In the store and in its copy: the number of the last write that is in it. */
const key = "recorded_writes";
/** Writes that are repeated in one turn of the event loop. */
const portion = 20;

interface RecordedWrite {
  readonly number: number;
  readonly statements: ((copy: Sql) => unknown)[];
}

/**
 * [ST61] Writes that are committed while a copy of the store is made, to repeat them in the copy.
 * So a write must be the same where only free pages and implicit row ids differ.
 */
export class RecordedWrites {
  readonly #writes: RecordedWrite[] = [];
  #count = 0;

  constructor(sql: Sql) {
    meta.write(sql, key, "0");
  }

  /** @returns `sql` for one write, and what is to be called once that is committed */
  record(sql: Sql): { readonly sql: Sql; readonly commit: () => void } {
    const write: RecordedWrite = { number: this.#count + 1, statements: [] };
    const recording: Sql = {
      all: (query, ...values) => {
        if (!/^\s*SELECT\b/i.test(query)) write.statements.push((copy) => copy.all(query, ...values));
        return sql.all(query, ...values);
      },
      run: (query, ...values) => {
        write.statements.push((copy) => copy.run(query, ...values));
        return sql.run(query, ...values);
      },
    };
    meta.write(recording, key, String(write.number));
    return {
      sql: recording,
      commit: () => {
        this.#count = write.number;
        this.#writes.push(write);
      },
    };
  }

  /** Repeats some of those that `copy` has not. @returns false once there is none */
  repeat(copy: Sql): boolean {
    const last = Number(meta.read(copy, key));
    for (const { number, statements } of this.#writes.splice(0, portion)) {
      if (number > last) for (const repeat of statements) repeat(copy);
    }
    return this.#writes.length > 0;
  }

  end(copy: Sql): void {
    meta.remove(copy, key);
  }
}
