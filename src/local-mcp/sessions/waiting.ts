import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import { mayBeAlive, type Processes } from "../../platform/processes.ts";
import { askingTools } from "./activity.ts";
import * as sessions from "./sessions.ts";

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

/** [HO21] Marks the session at a Notification or a question; any other sign of work clears that. */
export function updateWaiting(
  sql: Sql,
  now: number,
  event: HookEvent,
  input: HookInput,
  session: Pick<sessions.Session, "id" | "waiting">,
): void {
  const waitingKind = isQuestion(event, input) ? "dialog" : event === "Notification" ? waitingFor(input) : null;
  if (waitingKind !== null) {
    if (waitingKind !== session.waiting?.for) sessions.setWaiting(sql, session.id, { for: waitingKind, since: now });
  } else if (session.waiting !== undefined && !keepsWaiting.has(event)) {
    sessions.setWaiting(sql, session.id, null);
  }
}

function isQuestion(event: HookEvent, input: HookInput): boolean {
  return event === "PreToolUse" && askingTools.has(input.tool_name ?? "");
}

export function waitingSessions(sql: Sql, processes: Processes, except: string | null): sessions.Session[] {
  return sessions
    .listWaiting(sql)
    .filter(({ id, owner }) => id !== except && owner !== null && mayBeAlive(processes, owner));
}
