import type { Life } from "../../../contract/work-state.ts";
import type { Sql } from "../../../shared/sql.ts";
import { isTurnEnd } from "../../../contract/turn-kinds.ts";
import * as journal from "../journal.ts";
import { life, lifeKinds, newLife } from "./life.ts";

/** Rows that are read: most turns have fewer than the first number, and none needs the last. */
const windows = [60, 600] as const;

/** A state that rows before `seq` have led to, where they are no longer stored. */
interface Basis {
  readonly life: Life;
  readonly seq: number;
}

const nothingBefore: Basis = { life: newLife, seq: 0 };

/** @returns null: nothing of its turns was seen. @param until the last row that counts */
export function read(
  sql: Sql,
  session: string,
  before: Basis = nothingBefore,
  until = Number.MAX_SAFE_INTEGER,
): Life | null {
  let rows: readonly journal.JournalRow[] = [];
  for (const most of windows) {
    rows = journal.newest(sql, session, lifeKinds, most, until);
    // Nothing before the end of a turn has an effect behind it.
    if (rows.length < most || rows.slice(most / 2).some(({ entry }) => isTurnEnd(entry.kind))) break;
  }
  const oldest = rows.at(-1);
  if (oldest === undefined) return before.seq === 0 ? null : before.life;
  return life(oldest.seq > before.seq ? before.life : newLife, rows);
}

/** Number of the newest row that says where the chat stands; 0: none does. */
export function newestSeq(sql: Sql, session: string): number {
  return journal.newest(sql, session, lifeKinds, 1)[0]?.seq ?? 0;
}
