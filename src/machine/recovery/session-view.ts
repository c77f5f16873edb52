import { waitsForWords } from "../../contract/chat-state.ts";
import type { Chat } from "../../contract/chats.ts";
import type { SessionView, TimelineEntry } from "../../contract/machine/sessions.ts";
import { pickFields } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import { costText } from "../sessions/usage/at-limit.ts";
import { findIncomplete } from "./incomplete/detect.ts";
import type { SeenElsewhere } from "./elsewhere/candidates.ts";
import { readState, readStateElsewhere } from "./session-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { LimitHandOver } from "../sessions/recoveries.ts";
import { displayTitle, type Session } from "../sessions/sessions.ts";
import { checkpoints as checkpointRows } from "../../store/session-tables.ts";
import { holderOf } from "../sessions/life/claim.ts";
import type { Machine } from "../sessions/life/presence.ts";
import { needOf } from "../sessions/life/questions.ts";
import { shownPrompt } from "../sessions/prompts.ts";
import { shortSessionId } from "../sessions/session-identity.ts";
import { assess } from "../sessions/signals/risk.ts";
import type { DriverName } from "../../store/driver.ts";
import * as checkpoints from "../sessions/checkpoints/checkpoints.ts";
import { triggerText } from "../../contract/checkpoint.ts";
import { titleOf } from "../../clients/adapters.ts";
import type { SessionContent } from "../sessions/session-content.ts";
import { age, oneLine, pluralize, unreadParts } from "../../shared/format.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import type { EffectRun } from "../../contract/work-state.ts";
import { isCall } from "../sessions/call-notes.ts";
import { effectText, outcomeOf, outcomeText, withEffects } from "../sessions/effects.ts";

const storedFields = [
  "id",
  "client",
  "clientVersion",
  "project",
  "name",
  "model",
  "startedAt",
  "lastSeenAt",
  "savedAt",
  "toolCalls",
  "toolErrors",
] as const;

/** @param chat the same chat in the coordinator's registry */
export function toSessionView(sql: Sql, runtime: Runtime, stored: Session, chat?: Chat): SessionView {
  const { session, life, ...shown } = readState(sql, runtime, stored, chat);
  const { config, now } = runtime;
  return {
    ...sharedFacts(sql, runtime, session),
    ...shown,
    machine: null,
    checkpoints: checkpointRows.count(sql, { session: session.id }),
    risk: shown.isAlive ? assess(session.readings, config.risk, now()) : null,
    waitingSince: (shown.isAlive && needOf(life)?.at) || null,
  };
}

export function toViewElsewhere(sql: Sql, runtime: Runtime, seen: SeenElsewhere): SessionView {
  const { row } = seen;
  return {
    ...sharedFacts(sql, runtime, row),
    ...readStateElsewhere(sql, runtime, seen),
    machine: row.machine,
    checkpoints: row.sealed.checkpoints,
    risk: null,
    waitingSince: null,
  };
}

function sharedFacts(
  sql: Sql,
  machine: Machine,
  session: Session,
): Pick<
  SessionView,
  (typeof storedFields)[number] | "endedAt" | "shortId" | "title" | "pid" | "contextFill" | "offer"
> {
  const holder = holderOf(sql, machine, session.id);
  return {
    ...pickFields(session, storedFields),
    endedAt: session.ending?.how === "ended" ? session.ending.at : null,
    shortId: shortSessionId(sql, session.id),
    title: displayTitle(session),
    pid: session.owner?.pid ?? null,
    contextFill: session.readings.contextFill?.value ?? null,
    offer: holder && { ...holder, shortId: shortSessionId(sql, holder.chat) },
  };
}

/** How a chat's session stands, and what other chats left. */
interface SessionStatus {
  readonly view: SessionView;
  readonly latest: checkpoints.Checkpoint | null;
  /** Other sessions that died, with those that this chat was offered. */
  readonly died: number;
  readonly offeredHere: number;
  /** Driver of the store; null: it is closed. */
  readonly driver: DriverName | null;
}

/** Returns null for a session that has been deleted. */
export function readSessionStatus(runtime: Runtime, session: Session): SessionStatus | null {
  const { store } = runtime;
  return store.read((sql) => {
    const open = findIncomplete(sql, runtime, { except: session.id, limit: 100 });
    const dead = open.filter((one) => readState(sql, runtime, one.session).state === "died");
    return {
      view: toSessionView(sql, runtime, session),
      latest: checkpoints.latest(sql, session.id),
      died: dead.length,
      offeredHere: dead.filter(({ offer }) => offer?.chat === session.id).length,
      driver: store.driver,
    };
  }, null);
}

const maxLineChars = 160;

/** How much of a text of the journal is shown. */
type Shorten = (text: string) => string;

/** On one line, and cut. */
const toLine: Shorten = (text) => oneLine(text, maxLineChars);

/**
 * Events of a session, oldest first; within one moment, cause before effect.
 *
 * @param prompts numbers of its prompts, by their rows of the journal
 */
export function timeline(
  stored: SessionContent,
  prompts: ReadonlyMap<number, number> = new Map(),
  shorten = toLine,
): TimelineEntry[] {
  const entries: TimelineEntry[] = [
    ...stored.journal.map(({ seq, at, entry }) => {
      const line = from("journal", at, entry.kind, describeEntry(entry, shorten));
      const prompt = prompts.get(seq);
      return prompt === undefined ? line : Object.assign(line, { prompt });
    }),
    ...effectsIn(stored.journal),
    ...stored.signals.map((one) => from("signal", one.at, one.level, signalText(one))),
    ...stored.checkpoints.map(({ at, id, trigger, rawBytes }) =>
      from("checkpoint", at, trigger, `saved ${id} (${triggerText(trigger)}, ${rawBytes} bytes)`),
    ),
    ...stored.snapshots.map((one) => from("snapshot", one.at, one.state, snapshotText(one))),
    ...stored.crashes.map((one) =>
      from("crash", diedAt(one.at, stored.journal), one.cause, `died: ${one.cause}. ${one.detail}${unsavedText(one)}`),
    ),
    ...stored.recoveries.map((one) => from("recovery", one.at, one.action, recoveryText(one))),
    ...stored.continued.map((one) => from("recovery", one.at, "continues", continuedText(one))),
  ];
  // The sort is stable, so the order above decides within one millisecond.
  return entries.sort((a, b) => a.at - b.at);
}

/** Entries of the calls with the time of their ends, as far as those were seen. */
function effectsIn(journal: SessionContent["journal"]): TimelineEntry[] {
  const ends = new Map<string, number>();
  const all = new Map<string, readonly EffectRun[]>();
  for (const { at, entry } of journal) {
    if (!isCall(entry)) continue;
    ends.set(entry.id, at);
    all.set(entry.id, withEffects(all.get(entry.id) ?? [], at, entry));
  }
  return [...all].flatMap(([call, runs]) =>
    runs.map((run) => from("effect", ends.get(call) ?? run.at, outcomeOf(run), effectEntry(run))),
  );
}

function effectEntry(run: EffectRun): string {
  return `cannot be undone: ${effectText(run)}: ${outcomeText(run)}`;
}

function from(source: TimelineEntry["source"], at: number, kind: string, text: string): TimelineEntry {
  return { at, source, kind, text };
}

/** Events of the same life after the last sighting came before the death. */
function diedAt(at: number, journal: SessionContent["journal"]): number {
  const later = journal.filter((row) => row.at > at);
  const nextLife = later.findIndex(({ entry }) => entry.kind === "start" || entry.kind === "prompt");
  return (nextLife < 0 ? later : later.slice(0, nextLife)).reduce((last, row) => Math.max(last, row.at), at);
}

function signalText({ score, level, readings }: SessionContent["signals"][number]): string {
  const fill = readings.contextFill
    ? `, context ${Math.round(readings.contextFill.value * 100)} % (${readings.contextFill.source})`
    : "";
  const calls = readings.toolCalls ? `, ${readings.toolCalls.value} tool calls` : "";
  return `risk ${score} ${level}${fill}${calls}`;
}

function snapshotText({ checkpointId, state, reason, branch, commit }: SessionContent["snapshots"][number]): string {
  const where = commit ? ` as ${commit.slice(0, 12)}${branch ? ` (branch ${branch})` : ""}` : "";
  return `files of ${checkpointId}: ${state}${where}${reason ? `, ${toLine(reason)}` : ""}`;
}

function recoveryText({ action, bySession, score, limit }: SessionContent["recoveries"][number]): string {
  const by = bySession ? ` ${action === "offered" ? "to" : "by"} session ${bySession}` : "";
  return `${action}${by}${score === null ? "" : `, restore score ${score} of 100`}${limitText(limit)}`;
}

function continuedText({ session, client, limit }: SessionContent["continued"][number]): string {
  return `continues session ${session} of ${titleOf(client)}${limitText(limit)}`;
}

/** Reason and cost of a hand-over by the user's rule. */
function limitText(limit: LimitHandOver | null): string {
  return limit === null ? "" : `: ${limit.to}, because a usage limit was reached; ${costText(limit)}`;
}

function unsavedText({ checkpointAgeMs, unsavedEvents, unsavedToolCalls }: SessionContent["crashes"][number]): string {
  const saved = checkpointAgeMs === null ? "no checkpoint" : `last checkpoint ${age(checkpointAgeMs)} before`;
  return ` At its death: ${saved}, ${pluralize(unsavedEvents, "event")} and ${pluralize(unsavedToolCalls, "tool call")} after it.`;
}

type Kind = JournalEntry["kind"];
type EntryOf<K extends Kind> = Extract<JournalEntry, { readonly kind: K }>;

export function describeEntry(entry: JournalEntry, shorten: Shorten): string {
  // A newer program may have more kinds.
  if (!Object.hasOwn(descriptions, entry.kind)) return entry.kind;
  return (descriptions[entry.kind] as (entry: JournalEntry, shorten: Shorten) => string)(entry, shorten);
}

const descriptions: { readonly [K in Kind]: (entry: EntryOf<K>, shorten: Shorten) => string } = {
  start: ({ source }) => `started (${source})`,
  continues: ({ session }) => `continues session ${session} of another machine`,
  detached: ({ reason }) => `cut off (${reason})`,
  end: ({ reason }) => `ended (${reason})`,
  prompt: (said, shorten) => `user: ${shorten(shownPrompt(said))}`,
  taken_back: ({ said }) => `the user took back the prompt of ${new Date(said).toISOString()} and what followed it`,
  prompt_text: ({ text }, shorten) => `all of a prompt: ${shorten(text)}`,
  inherited: ({ by, tool, text }, shorten) => `before the fork, ${tool ?? by}: ${shorten(text)}`,
  assistant: ({ text }, shorten) => `assistant: ${shorten(text)}`,
  subagent_end: ({ text }, shorten) => `subagent ended: ${shorten(text)}`,
  exited: ({ id, exitCode }) => `call ${id} had ended with exit code ${exitCode}`,
  background_end: ({ id }) => `background task ended: ${id}`,
  recap: ({ text }, shorten) => `the client's account: ${shorten(text)}`,
  named: ({ names }, shorten) => `linked by the client: ${shorten(names.join(", "))}`,
  failure: ({ text }, shorten) => `failed: ${shorten(text)}`,
  unread: ({ of, text }, shorten) => `not interpreted, since it took too long (${of}): ${shorten(text)}`,
  damaged: ({ count, isBranched }) =>
    [
      ...(count > 0 ? [unreadParts(count, "of the transcript")] : []),
      ...(isBranched ? ["the transcript goes on along two branches"] : []),
    ].join("; "),
  asks: ({ for: what }) => `waits for ${waitsForWords[what]}`,
  answered: () => "the user answered",
  turn_end: () => "answer complete",
  interrupted: () => "interrupted by the user",
  plan: ({ text }, shorten) => `user approved a plan: ${shorten(text)}`,
  answers: ({ answers }, shorten) => {
    const chosen = answers.map(({ question, answer }) => `${shorten(question)} -> ${shorten(answer)}`);
    return `user chose: ${chosen.join("; ")}`;
  },
  compacting: ({ trigger }) => `compaction begins (${trigger})`,
  compacted: ({ summary }, shorten) => (summary === "" ? "compacted" : `compacted: ${shorten(summary)}`),
  given_back: ({ text }, shorten) => `SHIM gave back: ${shorten(text)}`,
  todos: ({ todos }, shorten) => `tasks: ${todos.map(({ text, status }) => `${shorten(text)} (${status})`).join("; ")}`,
  todo: ({ todo: { id, text, status } }, shorten) =>
    `task ${id}: ${[text && shorten(text), status].filter(Boolean).join(", ")}`,
  todo_removed: ({ id }) => `task ${id} removed`,
  tool_start: (entry, shorten) => `tool began: ${formatCall(entry, shorten)}`,
  tool_end: (entry, shorten) => {
    const file = entry.path === undefined ? "" : ` [${entry.action ?? "noted"} ${entry.path}]`;
    return `tool ended: ${formatCall(entry, shorten)}${formatDuration(entry)}${file}`;
  },
  tool_error: (entry, shorten) =>
    `tool failed: ${formatCall(entry, shorten)}${formatDuration(entry)}: ${shorten(entry.text)}`,
};

function formatCall({ name, input }: EntryOf<"tool_start" | "tool_end" | "tool_error">, shorten: Shorten): string {
  return `${name} ${shorten(input)}`;
}

function formatDuration({ durationMs }: EntryOf<"tool_end" | "tool_error">): string {
  return durationMs === undefined ? "" : ` (${Math.round(durationMs)} ms)`;
}
