import type { JournalEntry } from "../../contract/journal.ts";
import type { Predecessor, WorkState } from "../../contract/work-state.ts";
import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";
import { isEdited, shortened } from "../sessions/work-state.ts";
import * as journal from "../sessions/journal.ts";
import type { JournalRow } from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import type { BriefFacts, Rediscovery } from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";

export interface InheritedWork {
  readonly session: string;
  readonly state: WorkState;
}

/** [CP41] Keeps the prompts of a chain of deaths: the first, and the newest. */
export function toPredecessor({ session, state }: InheritedWork): Predecessor {
  const all = [...(state.continues?.prompts ?? []), ...state.prompts];
  const kept = [...all.slice(0, 1), ...all.slice(1).slice(-maxPrompts)];
  const effects = [...(state.continues?.effects ?? []), ...(state.effects ?? [])].slice(-maxEffects);
  return {
    session,
    prompts: kept.map((prompt) => shortened(prompt, maxPromptChars)),
    ...(effects.length === 0 ? {} : { effects }),
  };
}

const maxPrompts = 12;
const maxEffects = 30;
const maxPromptChars = 500;

/** [RE82] Work on a file of the dead session counts as continuing it; an offer alone does not. */
export function markRecovered(
  sql: Sql,
  at: number,
  successor: string,
  successorState: WorkState,
  inherited: readonly InheritedWork[],
): void {
  for (const dead of sessions.listOfferedTo(sql, successor)) {
    const known = inherited.find(({ session }) => session === dead.id);
    const isContinued =
      recoveries.isTaken(sql, dead.id, successor) || (known && continuesWork(known.state, successorState));
    if (!isContinued) continue;
    sessions.setRecovery(sql, at, dead.id, "recovered", successor);
    recoveries.add(sql, { at, session: dead.id, action: "recovered", by: successor });
  }
}

function continuesWork(dead: WorkState, successor: WorkState): boolean {
  const workedOnFiles = dead.files.filter(isEdited);
  const known = new Set((workedOnFiles.length > 0 ? workedOnFiles : dead.files).map(({ path }) => path));
  return successor.files.some((file) => isEdited(file) && known.has(file.path));
}

const maxRows = 1_000;

/** Pure. Counts reads of named files and repeats of given results, before the first edit. */
function countRepeats(rows: readonly JournalRow[], { files, results }: BriefFacts): Rediscovery {
  const knownFiles = new Set(files);
  let [reads, repeats] = [0, 0];
  for (const { entry } of rows) {
    if (entry.kind === "tool_end" && isEdited(entry)) return { reads, repeats, isOver: true };
    if (entry.kind === "tool_end" && knownFiles.has(entry.path ?? "")) reads += 1;
    else if (isRepeated(entry, results)) repeats += 1;
  }
  return { reads, repeats, isOver: rows.length >= maxRows };
}

function isRepeated(entry: JournalEntry, results: readonly string[]): boolean {
  const isCall = entry.kind === "tool_end" || entry.kind === "tool_error";
  return isCall && results.some((text) => text.startsWith(`${entry.name} ${entry.input}: `));
}

export function countRediscovery(sql: Sql, dead: string, successor: string): void {
  const offer = recoveries.latestOffer(sql, dead, successor);
  if (!offer?.detail.named || offer.detail.rediscovery?.isOver) return;
  const rediscovery = countRepeats(journal.list(sql, successor, 0, maxRows), offer.detail.named);
  recoveries.setDetail(sql, offer.seq, { ...offer.detail, rediscovery });
  if (!rediscovery.isOver) return;
  totals.add(sql, "shim_rediscoveries_total", { value: rediscovery.reads, labels: ["reads"] });
  totals.add(sql, "shim_rediscoveries_total", { value: rediscovery.repeats, labels: ["repeats"] });
}
