import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { editedFile, checkEdit, type EditedFile, type EditVerdict } from "../team/file-guard.ts";
import * as spending from "../usage/task-spending.ts";
import { deliverAtPrompt, deliverAtStop } from "../team/deliver-news.ts";
import type { HookAnswer } from "./hook-answer.ts";

export interface TeamPart {
  readonly verdict: EditVerdict;
  readonly news: string | null;
}

export interface TeamHook {
  readonly event: HookEvent;
  readonly input: HookInput;
  readonly session: string;
  readonly edited: EditedFile | null;
  /** Handled after the event: the answer is not read. */
  readonly isLate: boolean;
  /** A start's brief fills what the client takes of a hook. */
  readonly isFull: boolean;
}

/** Finds the guarded file before the store is locked. */
export function guardedFile(
  { config }: Runtime,
  event: HookEvent,
  input: HookInput,
  isLate: boolean,
): EditedFile | null {
  return event === "PreToolUse" && !isLate && config.team.isEnabled ? editedFile(input) : null;
}

/** @param recordRefusal returns whether the event is new: only one of two hooks answers [HO5] */
export function askTeam(
  sql: Sql,
  runtime: Runtime,
  hook: TeamHook,
  recordRefusal: (refusal: string | null) => boolean,
): TeamPart {
  const verdict = budgetVerdict(sql, runtime, hook) ?? editVerdict(sql, runtime, hook);
  const isNew = recordRefusal(verdict.kind === "refused" ? verdict.reason : null);
  const canDeliver = isNew && !hook.isLate && !hook.isFull;
  return { verdict, news: canDeliver ? findNews(sql, runtime, hook) : null };
}

/** [BU10] [BU11] */
function budgetVerdict(sql: Sql, runtime: Runtime, { event, input, session, isLate }: TeamHook): EditVerdict | null {
  if (isLate) return null;
  const now = runtime.now();
  if (event === "UserPromptSubmit") spending.release(sql, session);
  if (event === "PreToolUse") {
    const reason = spending.refusal(sql, session, input.tool_name, now);
    return reason === null ? null : { kind: "refused", reason };
  }
  const text = event === "PostToolUse" ? spending.warning(sql, session, now) : null;
  return text === null ? null : { kind: "warned", text };
}

function editVerdict(sql: Sql, runtime: Runtime, { session, edited }: TeamHook): EditVerdict {
  if (!edited) return { kind: "free" };
  const { processes, config } = runtime;
  return checkEdit(sql, { now: runtime.now(), processes, session, isStrict: config.team.strictFiles }, edited);
}

export function guardAnswer(runtime: Runtime, event: HookEvent, input: HookInput): HookAnswer {
  const edited = guardedFile(runtime, event, input, false);
  if (!edited) return {};
  const { processes, config } = runtime;
  const guarded = { now: runtime.now(), processes, session: input.session_id, isStrict: config.team.strictFiles };
  const verdict = runtime.store.read<EditVerdict>((sql) => checkEdit(sql, guarded, edited), { kind: "free" });
  return toCommand(event, { verdict, news: null }) ?? {};
}

/** [HO18] Skips a sub-agent's stop, a chat that a hook already continued, and a worker's run. */
function findNews(sql: Sql, runtime: Runtime, { event, input, session }: TeamHook): string | null {
  const { env, config } = runtime;
  if (event === "UserPromptSubmit") return deliverAtPrompt(sql, runtime.now(), session);
  if (event !== "Stop" || input.stop_hook_active || input.agent_id || env["SHIM_TASK"]) return null;
  return deliverAtStop(sql, runtime.now(), session, config.team.maxContinuationsPerHour);
}

export function toCommand(event: HookEvent, { verdict, news }: TeamPart): HookAnswer | null {
  if (event === "Stop") return news === null ? null : { decision: "block", reason: news };
  if (verdict.kind !== "refused") return null;
  const refusal = { permissionDecision: "deny", permissionDecisionReason: verdict.reason } as const;
  return { hookSpecificOutput: { hookEventName: event, ...refusal } };
}

export function toWarning({ verdict }: TeamPart): string | null {
  return verdict.kind === "warned" ? verdict.text : null;
}
