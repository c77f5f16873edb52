import type { JournalEntry } from "../../contract/journal.ts";
import type { Sql } from "../../shared/sql.ts";
import * as journal from "../sessions/journal.ts";
import type { JournalRow } from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import type { BriefFacts, Rediscovery } from "../sessions/recoveries.ts";

/** Measures a brief without a model: repeats of what the brief had said. */

const maxRows = 1_000;

/** Pure. Counts reads of named files and repeats of given results, before the first edit. */
function countRepeats(rows: readonly JournalRow[], { files, results }: BriefFacts): Rediscovery {
  const knownFiles = new Set(files);
  let [reads, repeats] = [0, 0];
  for (const { entry } of rows) {
    if (isEdit(entry)) return { reads, repeats, isOver: true };
    if (entry.kind === "tool_end" && knownFiles.has(entry.path ?? "")) reads += 1;
    else if (isRepeated(entry, results)) repeats += 1;
  }
  return { reads, repeats, isOver: rows.length >= maxRows };
}

function isEdit(entry: JournalEntry): boolean {
  return entry.kind === "tool_end" && (entry.action === "edited" || entry.action === "created");
}

function isRepeated(entry: JournalEntry, results: readonly string[]): boolean {
  const isCall = entry.kind === "tool_end" || entry.kind === "tool_error";
  return isCall && results.some((text) => text.startsWith(`${entry.name} ${entry.input}: `));
}

/** [RE37] */
export function countRediscovery(sql: Sql, dead: string, successor: string): void {
  const offer = recoveries.latestOffer(sql, dead, successor);
  if (!offer?.detail.named || offer.detail.rediscovery?.isOver) return;
  const rediscovery = countRepeats(journal.list(sql, successor, 0, maxRows), offer.detail.named);
  recoveries.setDetail(sql, offer.seq, { ...offer.detail, rediscovery });
}
