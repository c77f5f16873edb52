import type { WorkState } from "../../contract/work-state.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { Sql } from "../../shared/sql.ts";
import { isEdited } from "../sessions/file-notes.ts";
import { lastRequest } from "../sessions/prompts.ts";
import { journal } from "../../store/session-tables.ts";
import { findState, type Checkpoint } from "./checkpoints.ts";

/** Printed as JSON: fields are only added. */
export interface CheckpointContents {
  readonly lastRequest: string | null;
  /** Newest tool call before the checkpoint; null also when its journal row was pruned. */
  readonly lastTool: { readonly name: string; readonly input: string } | null;
  /** Absolute paths, newest last. */
  readonly changedFiles: readonly string[];
  readonly isDamaged: boolean;
}

export function readContents(sql: Sql, checkpoint: Checkpoint): CheckpointContents {
  const state = findState(sql, checkpoint.seq);
  return {
    lastRequest: (state && lastRequest(state)?.text) ?? null,
    lastTool: toolBefore(sql, checkpoint) ?? runningTool(state),
    changedFiles: changedFiles(state),
    isDamaged: state === null,
  };
}

const bodies = journal.pick("body");

function toolBefore(sql: Sql, { session, journalSeq }: Checkpoint): CheckpointContents["lastTool"] {
  const rest = "WHERE session = ? AND seq <= ? AND kind = 'tool_start' ORDER BY seq DESC LIMIT 1";
  const [row] = bodies.select(sql, rest, session, journalSeq);
  if (!row) return null;
  // Written by the journal only.
  const { name, input } = row.body as Extract<JournalEntry, { kind: "tool_start" }>;
  return { name, input };
}

function runningTool(state: WorkState | null): CheckpointContents["lastTool"] {
  const last = state?.runningTools.at(-1);
  return last ? { name: last.name, input: last.input } : null;
}

function changedFiles(state: WorkState | null): string[] {
  const changed = (state?.files ?? []).filter(isEdited);
  return changed.map(({ path }) => path);
}
