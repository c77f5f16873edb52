import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type { Sql } from "../../shared/sql.ts";
import * as journal from "../sessions/journal.ts";
import { recordAssistant } from "../observe/record-transcript.ts";
import { isSlashCommand } from "../sessions/requests.ts";
import * as sessions from "../sessions/sessions.ts";
import { stampOf } from "../../snapshots/file-state.ts";
import { entriesOf } from "../sessions/hook-entries.ts";

/** @returns whether the event is new, as far as known: some events are not stored */
export function recordEvent(
  sql: Sql,
  now: number,
  event: HookEvent,
  input: HookInput,
  id: string,
  isLate: boolean,
): boolean {
  const entries = entriesOf(event, input, turnId(sql, event, input, id));
  let isNew = entries.length === 0;
  for (const { key, entry } of entries) {
    // Runs before the end of its turn is stored, and not for a repeat: a later turn may have begun.
    if (event === "Stop" && !journal.has(sql, id, key))
      recordAssistant(sql, id, now, input.last_assistant_message ?? "");
    // Reported after its end: it no longer runs.
    if (entry.kind === "tool_start" && journal.has(sql, id, `end:${entry.id}`)) continue;
    if (!journal.append(sql, id, now, key, withStamp(entry, isLate))) continue;
    isNew = true;
    const change = sessionChange(entry);
    if (change) sessions.update(sql, id, change);
  }
  return isNew;
}

/** [JO15] Adds size and time, so that another's later edit shows before any hash. */
function withStamp(entry: JournalEntry, isLate: boolean): JournalEntry {
  if (isLate || entry.kind !== "tool_end" || !entry.path || entry.action === "read") return entry;
  const stamp = stampOf(entry.path);
  return stamp ? { ...entry, stamp } : entry;
}

function sessionChange(entry: JournalEntry): sessions.SessionChange | null {
  if (entry.kind === "tool_end") return { toolCalls: 1 };
  if (entry.kind === "tool_error") return { toolCalls: 1, toolErrors: 1 };
  if (entry.kind !== "prompt" || isSlashCommand(entry.text)) return null;
  return { title: entry.text.split("\n")[0]?.slice(0, 100) ?? null };
}

/** Older clients give no prompt id, so the journal position identifies the turn. */
function turnId(sql: Sql, event: HookEvent, input: HookInput, id: string): string {
  const seqOfNewest = (...kinds: JournalKind[]): number => journal.newest(sql, id, kinds, 1)[0]?.seq ?? 0;
  if (event === "PreCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacted")}`;
  if (input.prompt_id !== undefined) return input.prompt_id;
  return `after:${event === "UserPromptSubmit" ? seqOfNewest("turn_end", "failure") : journal.newestPromptSeq(sql, id)}`;
}
