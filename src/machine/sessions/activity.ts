import { deedOf } from "../../clients/adapter/tools.ts";
import type { HookEvent, HookInput } from "../../contract/hooks.ts";
import type { WorkState } from "../../contract/work-state.ts";
import { mayBeAlive, type Processes } from "../../platform/processes.ts";
import type { Sql } from "../../shared/sql.ts";
import * as journal from "./journal.ts";
import * as sessions from "./sessions.ts";
import type { Session } from "./sessions.ts";

type Activity = "idle" | "busy" | "waiting" | "stuck";

export interface ActivityFacts {
  readonly isDead: boolean;
  readonly isWaitingForUser: boolean;
  /**
   * Whether a prompt or a tool came since the last end of a turn; null for a client without hooks.
   */
  readonly isInTurn: boolean | null;
  readonly openTools: readonly { readonly name: string; readonly startedAt: number }[];
  readonly workedAt: number;
  readonly now: number;
}

const minuteMs = 60_000;
/** A thinking model writes nothing for minutes; a client retries a failed request for about ten. */
const maxSilenceMs = 15 * minuteMs;
/** A build or a sub-agent may run that long; a tool open for longer counts as hanging. */
const openToolMs = 120 * minuteMs;

/** Pure. For a chat that lives. */
export function activityOf(facts: ActivityFacts): Activity {
  const { isWaitingForUser, isInTurn, openTools, workedAt, now } = facts;
  if (isWaitingForUser || openTools.some(({ name }) => deedOf(name) === "asks")) return "waiting";
  const silenceMs = now - workedAt;
  if (isInTurn === null) return silenceMs < maxSilenceMs ? "busy" : "idle";
  if (!isInTurn) return "idle";
  const isToolAtWork = openTools.some(({ startedAt }) => now - startedAt < openToolMs);
  return silenceMs < maxSilenceMs || isToolAtWork ? "busy" : "stuck";
}

const keepsTasksMs: Readonly<Record<Activity, number>> = {
  busy: Number.POSITIVE_INFINITY,
  waiting: 60 * minuteMs,
  idle: 15 * minuteMs,
  stuck: 0,
};
/** A client without hooks shows no work between two calls of SHIM's tools. */
const keepsTasksWithoutHooksMs = 30 * minuteMs;

/** Pure. Returns whether heartbeats for the chat's tasks are honest. */
export function keepsTasks(facts: ActivityFacts): boolean {
  if (facts.isDead) return false;
  const activity = activityOf(facts);
  const limitMs = activity === "idle" && facts.isInTurn === null ? keepsTasksWithoutHooksMs : keepsTasksMs[activity];
  return facts.now - facts.workedAt < limitMs;
}

interface LivenessFacts {
  readonly isDead: boolean;
  readonly now: number;
}

export function factsOf(sql: Sql, session: sessions.Session, { isDead, now }: LivenessFacts): ActivityFacts {
  const waitsFor = session.waiting?.for;
  return {
    isDead,
    // At an idle prompt the turn has ended.
    isWaitingForUser: waitsFor === "permission" || waitsFor === "dialog",
    isInTurn: isInTurn(sql, session.id),
    openTools: openTools(sql, session.id),
    workedAt: session.workedAt ?? session.lastSeenAt,
    now,
  };
}

/** Living chats that may be stuck. */
export function silentSessions(sql: Sql, processes: Processes, now: number, except: string | null): sessions.Session[] {
  return sessions
    .listSilent(sql, now - maxSilenceMs)
    .filter(({ id, owner }) => id !== except && owner !== null && mayBeAlive(processes, owner));
}

function isInTurn(sql: Sql, sessionId: string): boolean | null {
  const kinds = [
    "start",
    "prompt",
    "tool_start",
    "tool_end",
    "tool_error",
    "turn_end",
    "interrupted",
    "failure",
    "end",
  ] as const;
  const last = journal.latest(sql, sessionId, kinds);
  if (!last) return null;
  const { kind } = last.entry;
  return kind === "prompt" || kind === "tool_start" || kind === "tool_end" || kind === "tool_error";
}

const maxOpenTools = 20;

/** Tools left open by a turn that is over, or by an earlier client, no longer run. */
function openTools(sql: Sql, sessionId: string): ActivityFacts["openTools"] {
  return sql.all<{ name: string; startedAt: number }>(
    `SELECT json_extract(body, '$.name') AS name, at AS startedAt FROM journal began
     WHERE session = ? AND kind = 'tool_start'
       AND seq > coalesce((SELECT max(seq) FROM journal WHERE session = ? AND kind IN ('start', 'turn_end', 'interrupted', 'failure')), 0)
       AND NOT EXISTS (SELECT 1 FROM journal WHERE session = began.session AND key = 'end:' || substr(began.key, 7))
     ORDER BY seq DESC LIMIT ${maxOpenTools}`,
    sessionId,
    sessionId,
  );
}

type WaitingFor = sessions.Waiting["for"];

const waitingByType: Readonly<Record<string, WaitingFor>> = {
  permission_prompt: "permission",
  worker_permission_prompt: "permission",
  elicitation_dialog: "dialog",
  elicitation_url_dialog: "dialog",
  agent_needs_input: "dialog",
  idle_prompt: "prompt",
};

/** Returns null if the user need not act. Older clients send a message only. */
function waitingFor({ notification_type: type, message }: HookInput): WaitingFor | null {
  if (type !== undefined) return Object.hasOwn(waitingByType, type) ? (waitingByType[type] ?? null) : null;
  if (/\bpermission\b/i.test(message ?? "")) return "permission";
  return /\bwaiting for your input\b/i.test(message ?? "") ? "prompt" : null;
}

/** Events that may occur while the question to the user is still open. */
const keepsWaiting: ReadonlySet<HookEvent> = new Set(["Notification", "SubagentStop", "PreModelSwitch"]);

/** Marks the session at a Notification or a question; any other sign of work clears that. */
export function updateWaiting(
  sql: Sql,
  now: number,
  event: HookEvent,
  input: HookInput,
  session: Pick<sessions.Session, "id" | "waiting">,
): void {
  const waitingKind = isQuestion(event, input) ? "dialog" : waitingAt(event, input);
  if (waitingKind !== null) {
    if (waitingKind !== session.waiting?.for) sessions.setWaiting(sql, session.id, { for: waitingKind, since: now });
  } else if (session.waiting !== null && !keepsWaiting.has(event)) {
    sessions.setWaiting(sql, session.id, null);
  }
}

function waitingAt(event: HookEvent, input: HookInput): WaitingFor | null {
  if (event === "PermissionRequest") return isQuestionTool(input) ? "dialog" : "permission";
  return event === "Notification" ? waitingFor(input) : null;
}

function isQuestion(event: HookEvent, input: HookInput): boolean {
  return event === "PreToolUse" && isQuestionTool(input);
}

function isQuestionTool({ tool_name: tool = "" }: HookInput): boolean {
  return deedOf(tool) === "asks";
}

export function waitingSessions(sql: Sql, processes: Processes, except: string | null): sessions.Session[] {
  return sessions
    .listWaiting(sql)
    .filter(({ id, owner }) => id !== except && owner !== null && mayBeAlive(processes, owner));
}

/** Sessions closed in order by their client (a closed terminal, a logout, a shutdown). */

const closedReasons = { withNothingOpen: "closed", withOpenWork: "closed_open" } as const;

type DetachedSession = Pick<Session, "detachReason">;

export function closedReason(hasOpenWork: boolean): string {
  return hasOpenWork ? closedReasons.withOpenWork : closedReasons.withNothingOpen;
}

export function isClosed({ detachReason }: DetachedSession): boolean {
  return isClosedWithNothingOpen({ detachReason }) || detachReason === closedReasons.withOpenWork;
}

export function isClosedWithNothingOpen({ detachReason }: DetachedSession): boolean {
  return detachReason === closedReasons.withNothingOpen;
}

export function hasDied(session: DetachedSession): boolean {
  return !isClosedWithNothingOpen(session);
}

/** Returns whether the last turn ended with work left or a question to the user. */
export function hasOpenWork({ todos, inProgress, openQuestions, words, prompts }: WorkState): boolean {
  if (inProgress.length > 0 || openQuestions.length > 0) return true;
  if (todos.some(({ status }) => status !== "completed")) return true;
  const last = words.at(-1);
  return last !== undefined && last.at >= (prompts.at(-1)?.at ?? 0) && endsInQuestion(last.text);
}

/** Markdown marks and quotes may follow the question mark. */
function endsInQuestion(text: string): boolean {
  return /[?\uff1f\u061f][\s*_`"')\]\u201d\u00bb]*$/.test(text);
}
