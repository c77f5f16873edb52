import type { RestoreScore, ScorePart } from "../../../contract/machine/recovery.ts";
import type { DamagedParts, WorkState } from "../../../contract/work-state.ts";
import { isKnownTime } from "../../../shared/known-time.ts";
import { absentReason } from "../../../snapshots/file-state.ts";
import { hasHistory, isOnlyImported, type Session } from "../../sessions/sessions.ts";
import type { RestoredFile } from "../incomplete/restoration.ts";
import { standingOf, type Standing } from "../../sessions/life/questions.ts";

interface ScoredSession {
  readonly session: Pick<Session, "origin" | "owner" | "startedAt" | "transcriptOffset">;
  readonly state: WorkState;
  readonly files: readonly ComparedFile[];
  readonly storeDamagedAt?: number;
}

/**
 * Pure.
 * @param quoted positions in `state.prompts` of those that the brief quotes
 */
export function score(from: ScoredSession, quoted: ReadonlySet<number>): RestoreScore {
  const parts = [...promptsPart(from, quoted), ...endPart(from), ...filesPart(from.files)];
  const sum = parts.reduce((all, { share }) => all + share, 0);
  return { total: parts.length === 0 ? 0 : Math.round((100 * sum) / parts.length), parts };
}

/** Each part that could not be read, or that the store may have lost, may hold a prompt. */
function promptsPart({ session, state, storeDamagedAt }: ScoredSession, quoted: ReadonlySet<number>): ScorePart[] {
  const { prompts, droppedPrompts, damaged } = state;
  const made = prompts.length + droppedPrompts;
  const lost = [isBeginUnread(session, state), storeDamagedAt !== undefined].filter(Boolean).length;
  const unread = (damaged?.count ?? 0) + lost;
  // Its events alone were counted: one that never came is missed by none of them.
  const isUnread = session.transcriptOffset === 0 && !isOnlyImported(session);
  const most = `${unread > 0 || isUnread ? "at least " : ""}${made}`;
  const text = `${quoted.size} of ${most} prompts quoted${isUnread ? " (no transcript was read)" : ""}`;
  return made === 0 ? [] : [{ name: "prompts", share: quoted.size / (made + unread), text }];
}

/** No prompt is known of the time before SHIM was there. */
function isBeginUnread(session: ScoredSession["session"], { prompts }: WorkState): boolean {
  return hasHistory(session) && prompts.every(({ at }) => at >= session.startedAt);
}

const ended: ReadonlySet<Standing> = new Set<Standing>(["waiting", "interrupted"]);

/** The end is there where the turn was over by the client's word, and all was read. */
function endPart({ state, storeDamagedAt = 0 }: ScoredSession): ScorePart[] {
  const { prompts, words, damaged } = state;
  if (prompts.length === 0) return [];
  if (damaged && isEndUnread(damaged, prompts.at(-1)?.at ?? 0))
    return [end(0, "the end of the conversation could not be read")];
  const newest = Math.max(...[...prompts, ...words].map(({ at }) => at));
  if (newest <= storeDamagedAt) return [end(0, "the store may have lost the end of the conversation")];
  if (words.length === 0) return [end(0, "no words of the chat are known")];
  if (ended.has(standingOf(state.life))) return [end(1, "the end of the conversation is there")];
  return [end(1, "the chat's newest words are there, the end of its turn is not")];
}

/** Words that answer the newest prompt may stand in what could not be read. */
function isEndUnread({ parts, isAtEnd }: DamagedParts, prompted: number): boolean {
  return isAtEnd === true || parts.some(({ at }) => (at === null ? !isKnownTime(prompted) : at >= prompted));
}

function end(share: number, text: string): ScorePart {
  return { name: "end", share, text };
}

function filesPart(files: readonly ComparedFile[]): ScorePart[] {
  const own = files.filter(({ action, isCommitted }) => action !== "read" && !isCommitted);
  if (own.length === 0) return [];
  const asLeft = own.filter(({ now }) => now === "same" || now === "deleted").length;
  const unknown = own.filter(({ now }) => now === "unknown").length;
  const notes = unknown > 0 ? `, ${unknown} not verified` : "";
  // "0 of 7 as left" would say that they have changed.
  const isAllUnknown = unknown === own.length;
  const text = isAllUnknown
    ? `${unknown === 1 ? "1 file" : `${unknown} files`} not verified`
    : `${asLeft} of ${own.length} files as left (compared: ${evidenceText(own)})${notes}`;
  return [{ name: "files", share: asLeft / own.length, text }];
}

/** How a file was compared with what the chat left; null: it was not. */
type Evidence = "content" | "size and time" | "date" | "existence" | "git";

type ComparedFile = Pick<RestoredFile, "now" | "action" | "hash" | "stamp" | "skipped"> &
  Pick<RestoredFile, "isByDate" | "isCommitted">;

/** Pure. */
function evidenceOf({ now, hash, stamp, skipped, isByDate, isCommitted }: ComparedFile): Evidence | null {
  if (isCommitted) return "git";
  if (now === "unknown") return null;
  if (isByDate) return "date";
  if (now === "missing" || now === "deleted") return "existence";
  if (stamp) return "size and time";
  // A file that was absent when it was noted, and is there now.
  return hash === null && skipped === absentReason ? "existence" : "content";
}

/** Text such as "2 by content, 1 by git"; empty where nothing was compared. */
function evidenceText(files: readonly ComparedFile[]): string {
  const counts = new Map<Evidence, number>();
  for (const file of files) {
    const evidence = evidenceOf(file);
    if (evidence) counts.set(evidence, (counts.get(evidence) ?? 0) + 1);
  }
  const most = [...counts].sort(([, one], [, other]) => other - one);
  return most.map(([evidence, count]) => `${count} by ${evidence}`).join(", ");
}
