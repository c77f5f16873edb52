import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import { editedFile, lookAtEdit, type Place, type Verdict } from "../team/file-guard.ts";
import { tellAtPrompt, tellAtStop } from "../team/told-news.ts";
import type { HookAnswer } from "./run-hook.ts";

/** What the team has to say at a hook. */
export interface TeamPart {
  readonly verdict: Verdict;
  readonly news: string | null;
}

export interface TeamHook {
  readonly event: HookEvent;
  readonly input: HookInput;
  readonly session: string;
  readonly edited: Place | null;
  /** Told after the event: nobody reads the answer. */
  readonly isLate: boolean;
  /** A start is answered with this event: its brief fills what the client takes of a hook. */
  readonly isFull: boolean;
}

/** The file that the guard is to look at, found before the store is locked. */
export function guardedFile({ config }: Runtime, event: HookEvent, input: HookInput, isLate: boolean): Place | null {
  return event === "PreToolUse" && !isLate && config.team.isEnabled ? editedFile(input) : null;
}

/** @param keep stores the event; answers whether it is told for the first time, since of two hooks only one speaks [HO5] */
export function askTeam(sql: Sql, runtime: Runtime, hook: TeamHook, keep: () => boolean): TeamPart {
  const verdict = verdictOn(sql, runtime, hook);
  // A call that is refused never runs: nobody would tell its end.
  const isNew = verdict.kind !== "refused" && keep();
  const isHeard = isNew && !hook.isLate && !hook.isFull;
  return { verdict, news: isHeard ? newsAt(sql, runtime, hook) : null };
}

function verdictOn(sql: Sql, runtime: Runtime, { session, edited }: TeamHook): Verdict {
  if (!edited) return { kind: "free" };
  const { processes, config } = runtime;
  return lookAtEdit(sql, { now: runtime.now(), processes, session, isStrict: config.team.strictFiles }, edited);
}

/** [HO18] A sub-agent's stop is not its chat's, a chat that goes on because of a hook is not sent on again, and a task's run is its worker's. */
function newsAt(sql: Sql, runtime: Runtime, { event, input, session }: TeamHook): string | null {
  const { env, config } = runtime;
  if (event === "UserPromptSubmit") return tellAtPrompt(sql, runtime.now(), session);
  if (event !== "Stop" || input.stop_hook_active || input.agent_id || env["SHIM_TASK"]) return null;
  return tellAtStop(sql, runtime.now(), session, config.team.maxContinuationsPerHour);
}

/** What a client obeys. Null: nothing of that kind is said. */
export function commandOf(event: HookEvent, { verdict, news }: TeamPart): HookAnswer | null {
  if (event === "Stop") return news === null ? null : { decision: "block", reason: news };
  if (verdict.kind !== "refused") return null;
  const refusal = { permissionDecision: "deny", permissionDecisionReason: verdict.reason } as const;
  return { hookSpecificOutput: { hookEventName: event, ...refusal } };
}

export function warningOf({ verdict }: TeamPart): string | null {
  return verdict.kind === "warned" ? verdict.text : null;
}
