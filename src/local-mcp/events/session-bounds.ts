import { processKey } from "../../coordinator-client/local/process-key.ts";
import { callKinds, turnBounds } from "../../contract/turn-kinds.ts";
import { currentState } from "../../machine/sessions/checkpoints/capture.ts";
import { brief } from "../../machine/recovery/brief/brief.ts";
import { missingFrom } from "../../machine/recovery/brief/compaction.ts";
import {
  closedContext,
  isScripted,
  offeredLine,
  resumedLine,
  speakerOf,
} from "../../machine/recovery/brief/user-lines.ts";
import { acceptedContext, compactionOf, lostBrief, recordGivenBack } from "../../machine/recovery/given-context.ts";
import { recordDeaths } from "../../machine/recovery/incomplete/deaths.ts";
import { causeOf, hasContent } from "../../machine/recovery/incomplete/detect.ts";
import { restore } from "../../machine/recovery/incomplete/restoration.ts";
import { adoptSuccession } from "../../machine/recovery/incomplete/successor.ts";
import { goneFolderLine, offer, offerable, offerPolicy, type Offer } from "../../machine/recovery/offers.ts";
import { closedReason, hasOpenWork, isClosed, isClosedWithNothingOpen } from "../../machine/sessions/activity.ts";
import * as life from "../../machine/sessions/life/row.ts";
import * as journal from "../../machine/sessions/journal.ts";
import { withSessionConfig } from "../../machine/sessions/session-settings.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { correctCause } from "../../machine/sessions/signals/crashes.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { EventMachine, Runtime } from "../../runtime/runtime.ts";
import { formatAgo } from "../../shared/format.ts";
import { beginningOf } from "../../shared/shorten.ts";
import type { Sql } from "../../shared/sql.ts";
import { readHead } from "../../snapshots/git-head.ts";
import * as notices from "../../store/notices.ts";
import type { Concern, Recording, StartedSession } from "./concern.ts";
import { startSource } from "./sighting.ts";
import { isDead } from "../../machine/sessions/life/presence.ts";

const userlessEntryPoint = /^(sdk-|mcp$|claude-code-github-action$)/;

export function isWithoutUser(env: NodeJS.ProcessEnv): boolean {
  return userlessEntryPoint.test(env["CLAUDE_CODE_ENTRYPOINT"] ?? "");
}

/** The end of a session, which the end of a turn may be as well. */
export const end: Concern = {
  name: "end",
  on: ["Stop", "SessionEnd"],
  isForLate: true,
  inTransaction(recording, { isNew }) {
    if (recording.incoming.event === "SessionEnd") endSession(recording);
    else if (isNew) endAfterTurn(recording);
  },
};

/** Hooks registered twice (settings and plugin) run at each start; only the first answers. */
export const start: Concern = {
  name: "start",
  on: ["SessionStart"],
  isForLate: true,
  inTransaction({ sql, machine, incoming, known, session, before, claim }, draft) {
    const { isLate = false } = incoming;
    const { id } = session;
    const source = startSource(incoming);
    const git = known.project === null ? null : readHead(known.project);
    const details = { ...(git ? { git } : {}), ...(isLate ? ({ isUndelivered: true } as const) : {}) };
    const [last] = journal.newest(sql, id, ["compacting", "end", "detached"], 1);
    const key = `start:${source}:${known.client ? processKey(known.client) : ""}:${last?.seq ?? 0}`;
    const isFirst = journal.append(sql, id, machine.now(), key, { kind: "start", source, ...details });
    if (!isFirst || isLate) return;
    // A spooled start is applied by a process with another environment.
    adoptSuccession(sql, machine.env, id);
    draft.start = { session, before, claim, source };
  },
};

/** A session that was cut off is detached or closed, and may be continued. */
function endSession({ sql, machine, incoming, session }: Recording): void {
  const { reason = "other" } = incoming.input;
  const now = machine.now();
  const last = journal.latest(sql, session.id, turnKinds);
  const key = keyOf(sql, session.id, reason, last);
  const detached = detachReason(sql, machine, session.id, { reason, last });
  if (detached === null) {
    journal.append(sql, session.id, now, key, { kind: "end", reason });
    return sessions.end(sql, now, session.id, reason);
  }
  journal.append(sql, session.id, now, key, { kind: "detached", reason: detached });
  sessions.detach(sql, now, session.id, detached);
  const detachedSession = sessions.get(sql, session.id) ?? session;
  const { cause, causeDetail: detail } = causeOf(sql, detachedSession, machine.processes);
  correctCause(sql, session.id, { cause, detail });
}

/**
 * A client may report the end of a cancelled turn and that of the chat at once, by hooks that
 * run side by side: what came first looked like an end in the middle of the turn.
 */
function endAfterTurn(recording: Recording): void {
  const { sql, session, incoming } = recording;
  const [turn, before] = journal.newest(sql, session.id, turnKinds, 2);
  if (turn?.entry.kind !== "turn_end" || !journal.has(sql, session.id, keyOf(sql, session.id, anyReason, before)))
    return;
  endSession({ ...recording, incoming: { ...incoming, input: { ...incoming.input, reason: anyReason } } });
}

/** Two hooks report one end: the start before it and the last event identify it. */
function keyOf(sql: Sql, sessionId: string, reason: string, last: journal.JournalRow | undefined): string {
  const [start] = journal.newest(sql, sessionId, ["start"], 1);
  return `over:${start?.seq ?? 0}:${reason}:${last?.seq ?? 0}`;
}

const turnKinds = [...turnBounds, ...callKinds];

interface End {
  readonly reason: string;
  readonly last: journal.JournalRow | undefined;
}

/** The client was asked to end. */
const askedReason = "other";
/** The one reason that some clients give for every end, also where they were asked. */
const anyReason = "exit";

/** @returns null for a normal end, also of a chat without a prompt */
function detachReason(sql: Sql, machine: EventMachine, id: string, { reason, last }: End): string | null {
  if (!last || (reason !== askedReason && reason !== anyReason)) return null;
  if (!isTurnOver(sql, machine.now(), id, reason)) return sessions.interruptedReason;
  if (reason === anyReason) return null;
  // The ordinary end of a run has the same reason as a closed terminal.
  if (isWithoutUser(machine.env)) return null;
  const state = currentState(sql, id);
  const isOpen = state !== null && hasOpenWork(state);
  return closedReason(isOpen || isCutOff(sql, id, last, machine.now()));
}

/** A client that is asked to end in mid-turn may write that its user has interrupted it. */
function isTurnOver(sql: Sql, now: number, id: string, reason: string): boolean {
  const over = life.read(sql, id)?.turn?.over;
  return over?.how === "done" || (over?.how === "interrupted" && (reason === anyReason || now - over.at > hangUpMs));
}

/** A user cannot read an answer and close the terminal within this time. */
const hangUpMs = 3_000;

/** Older clients report a tool killed by the hangup as failed, and let the model answer first. */
function isCutOff(sql: Sql, id: string, last: journal.JournalRow, now: number): boolean {
  if (now - last.at > hangUpMs) return false;
  const [tool] = journal.newest(sql, id, ["tool_end", "tool_error"], 1);
  return tool?.entry.kind === "tool_error" && now - tool.at <= hangUpMs;
}

const maxNoticeChars = 250;

export interface StartAnswer {
  readonly context: string | null;
  readonly line: string | null;
}

export const emptyStart: StartAnswer = { context: null, line: null };

/** Empty if there is nothing to recover. A scripted run gets no line for a user. */
export function startSession(machine: Runtime, started: StartedSession): StartAnswer {
  const runtime = withSessionConfig(machine, started.session.id);
  recordDeaths(runtime, () => true);
  const { context, line } = startContext(runtime, started);
  const withCommand = (text: string): string => withShimCommand(text, () => shimCommand(runtime));
  const warnings = runtime.store.read((sql) => notices.list(sql), []).map((notice) => `SHIM notice: ${notice.text}`);
  const all = [beginningOf(warnings.join("\n"), maxNoticeChars), context ?? ""]
    .map(withCommand)
    .filter((part) => part !== "");
  return {
    context: all.length > 0 ? all.join("\n\n") : null,
    line: line === null || isScripted(runtime.env) ? null : withCommand(line),
  };
}

function startContext(runtime: Runtime, started: StartedSession): StartAnswer {
  switch (started.source) {
    case "startup":
      return offerAnswer(runtime, started);
    case "resume":
      return resumedAnswer(runtime, started);
    case "compact":
      return { context: compactedContext(runtime, started), line: null };
    default:
      return emptyStart;
  }
}

function offerAnswer(runtime: Runtime, { session }: StartedSession): StartAnswer {
  const policy = offerPolicy(runtime, session.id);
  if (policy === "mention") return { context: pointerLine(runtime, session), line: null };
  if (policy !== "offer") return emptyStart;
  const { id, project, client } = session;
  const answer = (): StartAnswer => {
    const found = offer(runtime, id, { project });
    if (!found) return { context: null, line: goneFolderLine(runtime, id, project) };
    const { brief: composed, more } = found;
    const offered = { ...composed.from, more };
    const line = runtime.store.read((sql) => offeredLine(sql, runtime, offered, client), null);
    return { context: offeredContext(runtime, found), line };
  };
  const options = { counts: ({ context }: StartAnswer) => context !== null, session: () => id };
  return runtime.durations.time("shim_recovery_duration_seconds", answer, options);
}

function offeredContext(runtime: Runtime, { brief: { from, text }, more }: Offer): string {
  if (isClosedWithNothingOpen(from.session)) return closedContext(from, runtime.now(), more);
  const others = more > 0 ? `\n${more} more incomplete: \`shim sessions --incomplete\`.` : "";
  return text(runtime.config.recovery) + others;
}

/** Gives a script one line; the offer stays open for a chat with a user. */
function pointerLine(runtime: Runtime, { id, project }: sessions.Session): string | null {
  const dead = offerable(runtime, { project, except: id })[0]?.session;
  if (!dead || isClosedWithNothingOpen(dead)) return null;
  const when = formatAgo(runtime.now(), dead.lastSeenAt);
  return `SHIM: session ${dead.id} of this project died ${when}. Only if your task is to continue its work: shim_check_recovery (of "${dead.id}", take true). Otherwise ignore this.`;
}

/** The client restores the conversation; SHIM adds the cause of death and later changes. */
function resumedAnswer(runtime: Runtime, { before, claim }: StartedSession): StartAnswer {
  if (!before) return emptyStart;
  if (claim?.is === "recovered") return continuedAnswer(before, claim.by);
  if (before.endedAt !== null || !isDead(runtime, before)) return emptyStart;
  const isKnown = runtime.store.read((sql) => hasContent(sql, before.id), false);
  const from = isKnown ? restore(runtime, before) : null;
  if (!from) return emptyStart;
  const line = isClosed(before) ? null : resumedLine(from, runtime.now());
  // The user has closed and reopened the chat, and nothing has changed.
  const isUnchanged = isClosed(before) && from.files.every(({ now }) => now !== "changed" && now !== "missing");
  return { context: isUnchanged ? null : brief(from, runtime.now(), "resumed"), line };
}

function continuedAnswer({ client }: sessions.Session, by: string | null): StartAnswer {
  const knows = `${speakerOf(client)} knows.`;
  return {
    context: `SHIM: this session was continued by ${by === null ? "another session" : `session ${by}`} in the meantime; its work may be done already. Check before you repeat it.`,
    line: `SHIM: another chat has continued this one in the meantime; its work may be done already. ${knows}`,
  };
}

/** Where a summary follows, what it lacks is given back after it. */
function compactedContext(runtime: Runtime, { session }: StartedSession): string | null {
  const { keepsPrompts, showsSummary } = compactionOf(session.client);
  const from = showsSummary ? null : restore(runtime, session);
  const text = from && missingFrom(from, null, keepsPrompts);
  if (text !== null) runtime.store.write((sql) => recordGivenBack(sql, runtime.now(), session.id, text));
  const lost = showsSummary ? null : runtime.store.read((sql) => lostBrief(sql, runtime, session.id), null);
  const given = [text, lost && acceptedContext(runtime, lost)].filter((one) => one !== null);
  return given.length === 0 ? null : given.join("\n\n");
}
