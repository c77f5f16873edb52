import type { Day, DayLane, DayMark, DaySpan } from "../../contract/machine/page.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { visible } from "../../shared/visible-text.ts";
import { crashes } from "../../store/session-tables.ts";
import { causeText } from "../../contract/chat-state.ts";
import { notedEnd } from "../../contract/ending.ts";
import * as life from "../sessions/life/row.ts";
import type { TurnBound } from "../../contract/turn-kinds.ts";
import * as journal from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { openConflicts, type NumberedConflict } from "../team/conflicts.ts";
import { toSessionView } from "../recovery/session-view.ts";

const hourMs = 3_600_000;
const max = { lanes: 60, spans: 300, marks: 100 };
/** Parts of a picture: what is shorter than one of them cannot be seen. */
const parts = 2_000;

/** When each chat of a person on this machine worked and waited, and what happened to it. */
export function readDay(sql: Sql, runtime: Runtime, hours: number): Day {
  const now = runtime.now();
  const since = now - hours * hourMs;
  const found = sessions.list(sql, { since, limit: max.lanes + 1 });
  const conflicts = openConflicts(sql, runtime);
  const lanes = found.slice(0, max.lanes).map((session) => toLane(sql, runtime, { session, since, conflicts }));
  return { hours, lanes, scripts: sessions.countFolded(sql, { since }), isAll: found.length <= max.lanes };
}

interface LaneOf {
  readonly session: sessions.Session;
  readonly since: number;
  readonly conflicts: readonly NumberedConflict[];
}

function toLane(sql: Sql, runtime: Runtime, { session, since, conflicts }: LaneOf): DayLane {
  const now = runtime.now();
  const { id, title, project, state, detail, isAlive, endedAt } = toSessionView(sql, runtime, session);
  const deaths = crashes.select(sql, "WHERE session = ? ORDER BY at", id);
  const stops = deaths.map(({ at }) => ({ at, kind: "stop" as const }));
  const turns = [...journal.newestTurns(sql, id), ...stops].toSorted((a, b) => a.at - b.at);
  const closed = notedEnd(session.ending);
  const until = isAlive ? now : (endedAt ?? session.workedAt ?? session.lastSeenAt);
  const asks = isAlive ? (life.read(sql, id)?.asks ?? null) : null;
  const spans = toSpans([...turns, ...(asks ? [{ at: asks.at, kind: "turn_end" as const }] : [])], until);
  const shown = joined(spans, (now - since) / parts).filter(({ to }) => to >= since);
  const marks = [
    ...deaths.map(({ at, cause }) => mark("died", at, `died: ${causeText(cause)}`)),
    // A death that nothing has recorded yet.
    ...(state === "died" && !deaths.some(({ at }) => at >= until)
      ? [mark("died", until, `died: ${detail ?? causeText("unknown")}`)]
      : []),
    ...(endedAt === null ? [] : [mark("ended", endedAt, "ended")]),
    ...(closed?.isOpen === false ? [mark("ended", closed.at, "closed")] : []),
    ...journal.newestCompactions(sql, id).map((at) => mark("compacted", at, "the context was compacted")),
    ...continuations(sql, id, since),
    ...conflictsWith(id, now, conflicts),
  ];
  return {
    id,
    title: title === null ? null : visible(title),
    project,
    state,
    spans: shown.slice(-max.spans).map(({ kind, from, to }): DaySpan => {
      return { kind, fromMs: Math.min(now - from, now - since), toMs: Math.max(0, now - to) };
    }),
    marks: marks
      .filter(({ at }) => at >= since && at <= now)
      .toSorted((a, b) => a.at - b.at)
      .slice(-max.marks)
      .map(({ at, kind, text }): DayMark => ({ kind, text, ageMs: now - at })),
  };
}

interface Mark extends Pick<DayMark, "kind" | "text"> {
  readonly at: number;
}

function mark(kind: DayMark["kind"], at: number, text: string): Mark {
  return { kind, at, text };
}

/** The first note of each hand-over: `recovered` follows `taken`. */
function continuations(sql: Sql, session: string, since: number): Mark[] {
  const seen = new Set<string | null>();
  return recoveries.listEvents(sql, { session, since }).flatMap(({ at, action, chat }) => {
    if ((action !== "taken" && action !== "recovered") || seen.has(chat)) return [];
    seen.add(chat);
    return [mark("continued", at, "continued by another chat")];
  });
}

function conflictsWith(session: string, now: number, conflicts: readonly NumberedConflict[]): Mark[] {
  const ofSession = conflicts.filter(({ chats }) => chats.some(({ chat }) => chat === session));
  return ofSession.map(({ path, ageMs }) => mark("conflict", now - ageMs, `two chats changed ${visible(path)}`));
}

interface Span {
  readonly kind: DaySpan["kind"];
  readonly from: number;
  readonly to: number;
}

interface Turn {
  readonly at: number;
  readonly kind: TurnBound | "stop";
}

/** A prompt begins work, the end of its turn begins a wait, and a death ends both. */
function toSpans(turns: readonly Turn[], until: number): Span[] {
  const spans: Span[] = [];
  let open: Pick<Span, "kind" | "from"> | null = null;
  const close = (to: number): void => {
    if (open && to > open.from) spans.push({ ...open, to });
    open = null;
  };
  for (const { at, kind } of turns) {
    const next = kind === "prompt" ? "works" : kind === "stop" ? null : "waits";
    // Prompts may follow each other, and so may failures.
    if (open !== null && next === (open as Span).kind) continue;
    close(at);
    if (next !== null) open = { kind: next, from: at };
  }
  close(until);
  return spans;
}

/** Without waits that are shorter than `leastMs`, and what is then adjacent as one. */
function joined(spans: readonly Span[], leastMs: number): Span[] {
  const all: Span[] = [];
  for (const span of spans) {
    if (span.kind === "waits" && span.to - span.from < leastMs) continue;
    const last = all.at(-1);
    if (last?.kind === span.kind && span.from - last.to < leastMs) all[all.length - 1] = { ...last, to: span.to };
    else all.push(span);
  }
  return all;
}
