import type { Sql } from "../../shared/sql.ts";
import { mayChangeFiles } from "../../clients/adapter/tools.ts";
import { listMoments, type Moment } from "../checkpoints/moments.ts";
import * as journal from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";
import { isEdited } from "../sessions/work-state.ts";

/** A turn in which a chat may have changed files. */
export interface ChangingTurn {
  readonly session: sessions.Session;
  readonly prompt: Moment;
  /** Epoch ms of the last call that may have. */
  readonly at: number;
}

const maxSessions = 50;
/** Rows of one chat that are read. */
const maxRows = 2_000;

/** Newest first. @param of one chat, or all of a project */
export function changingTurns(
  sql: Sql,
  of: { readonly session: sessions.Session } | { readonly project: string },
): ChangingTurn[] {
  const all = "session" in of ? [of.session] : sessions.list(sql, { project: of.project, limit: maxSessions });
  return all.flatMap((session) => turnsOf(sql, session)).toSorted((one, other) => other.at - one.at);
}

function turnsOf(sql: Sql, session: sessions.Session): ChangingTurn[] {
  const moments = listMoments(sql, session.id);
  const turns = new Map<Moment, ChangingTurn>();
  for (const { seq, at, entry } of journal.newest(sql, session.id, ["tool_start", "tool_end"], maxRows)) {
    const isChange =
      entry.kind === "tool_end" ? isEdited(entry) : entry.kind === "tool_start" && mayChangeFiles(entry.name);
    const prompt = isChange ? moments.findLast((one) => (one.seq ?? 0) < seq) : undefined;
    if (prompt && !turns.has(prompt)) turns.set(prompt, { session, prompt, at });
  }
  return [...turns.values()];
}

interface UndoRow {
  readonly session: string;
  readonly at: number;
  /** JSON with the files that it has changed. */
  readonly detail: string;
}

/** The newest undo that has changed files, of one chat or of all of a project. */
export function newestUndoOf(
  sql: Sql,
  of: { readonly session: string } | { readonly project: string },
): UndoRow | null {
  const [row] = sql.all<UndoRow>(
    `SELECT c.session, c.at, s.detail FROM checkpoints c JOIN snapshots s ON s.checkpointId = c.id
     WHERE c.session IN (SELECT id FROM sessions WHERE ${"session" in of ? "id" : "project"} = ?)
       AND c.trigger = 'undo' AND s.state = 'done' ORDER BY c.at DESC, c.seq DESC LIMIT 1`,
    "session" in of ? of.session : of.project,
  );
  return row ?? null;
}
