import type { Sql } from "../../shared/sql.ts";
import { currentState } from "../../machine/checkpoints/capture.ts";
import { causeOf } from "../../machine/recovery/incomplete/detect.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { closedReason, hasOpenWork } from "../../machine/sessions/activity.ts";
import * as journal from "../../machine/sessions/journal.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { correctCause } from "../../machine/signals/history.ts";
import type { Recording } from "./record-event.ts";

const userlessEntryPoint = /^(sdk-|mcp$|claude-code-github-action$)/;

export function isWithoutUser(env: NodeJS.ProcessEnv): boolean {
  return userlessEntryPoint.test(env["CLAUDE_CODE_ENTRYPOINT"] ?? "");
}

/** @param isNew the event was not recorded before */
export function recordEnd(recording: Recording, isNew: boolean): void {
  const { event } = recording.incoming;
  if (event === "SessionEnd") endSession(recording);
  else if (event === "Stop" && isNew) endAfterTurn(recording);
}

/** A session that was cut off is detached or closed, and may be continued. */
function endSession({ sql, runtime, incoming, session }: Recording): void {
  const { reason = "other" } = incoming.input;
  const now = runtime.now();
  const [last] = journal.newest(sql, session.id, turnKinds, 1);
  const key = keyOf(sql, session.id, reason, last);
  const detached = detachReason(sql, runtime, session.id, { reason, last });
  if (detached === null) {
    journal.append(sql, session.id, now, key, { kind: "end", reason });
    return sessions.end(sql, now, session.id, reason);
  }
  journal.append(sql, session.id, now, key, { kind: "detached", reason: detached });
  if (detached === sessions.interruptedReason) sessions.detach(sql, now, session.id, detached);
  else sessions.close(sql, now, session.id, detached);
  const detachedSession = sessions.get(sql, session.id) ?? session;
  const { cause, causeDetail: detail } = causeOf(sql, detachedSession, runtime.processes);
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

const turnKinds = ["prompt", "tool_start", "tool_end", "tool_error", "turn_end", "failure"] as const;

interface End {
  readonly reason: string;
  readonly last: journal.JournalRow | undefined;
}

/** The client was asked to end. */
const askedReason = "other";
/** The one reason that some clients give for every end, also where they were asked. */
const anyReason = "exit";

/** @returns null for a normal end, also of a chat without a prompt */
function detachReason(sql: Sql, runtime: Runtime, id: string, { reason, last }: End): string | null {
  if (!last || (reason !== askedReason && reason !== anyReason)) return null;
  const isOver = last.entry.kind === "turn_end" || (reason === anyReason && isInterrupted(sql, id));
  if (!isOver) return sessions.interruptedReason;
  if (reason === anyReason) return null;
  // The ordinary end of a run has the same reason as a closed terminal.
  if (isWithoutUser(runtime.env)) return null;
  const state = currentState(sql, id);
  const isOpen = state !== null && hasOpenWork(state);
  return closedReason(isOpen || isCutOff(sql, id, last, runtime.now()));
}

/** A tool that the user cancels ends its turn without an event: the transcript has it. */
function isInterrupted(sql: Sql, id: string): boolean {
  const [last] = journal.newest(sql, id, ["prompt", "turn_end", "interrupted"], 1);
  return last?.entry.kind === "interrupted";
}

/** A user cannot read an answer and close the terminal within this time. */
const hangUpMs = 3_000;

/** Older clients report a tool killed by the hangup as failed, and let the model answer first. */
function isCutOff(sql: Sql, id: string, last: journal.JournalRow, now: number): boolean {
  if (now - last.at > hangUpMs) return false;
  const [tool] = journal.newest(sql, id, ["tool_end", "tool_error"], 1);
  return tool?.entry.kind === "tool_error" && now - tool.at <= hangUpMs;
}
