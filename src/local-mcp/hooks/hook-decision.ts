import type { Sql } from "../../shared/sql.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import { dueTrigger, eventTrigger } from "../checkpoints/triggers.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { clearContextReadings, observe, takeReadings } from "../observe/observe.ts";
import { acceptOffer, type Acceptance } from "../recovery/accept-offer.ts";
import { giveBack } from "../recovery/give-back.ts";
import type { Session } from "../sessions/sessions.ts";
import type { TranscriptPart } from "../signals/transcript.ts";
import { deliverAtPrompt, deliverAtStop, type Delivery } from "../team/deliver-news.ts";
import { checkEdit, type EditVerdict } from "../team/file-guard.ts";
import * as members from "../team/members.ts";
import { takeDayWarning } from "../usage/day-budget.ts";
import * as spending from "../usage/task-spending.ts";
import { guardedFile, sessionOfCall, type HookCall, type HookContext } from "./hook-context.ts";

/** Decisions about an event, in the transaction that records it. */

/** [BU10] [BU11] A task's budget first, then the reserved files. */
export function toolVerdict(sql: Sql, runtime: Runtime, context: HookContext, session: string): EditVerdict {
  return budgetVerdict(sql, runtime.now(), context, session) ?? editVerdict(sql, runtime, context, session);
}

function budgetVerdict(sql: Sql, now: number, context: HookContext, session: string): EditVerdict | null {
  const { event, input, isLate } = context;
  if (isLate) return null;
  if (event === "UserPromptSubmit") spending.release(sql, session);
  if (event === "PreToolUse") return budgetRefusal(sql, now, input, session);
  const text =
    event === "PostToolUse"
      ? (spending.warning(sql, session, now) ?? takeDayWarning(sql, members.find(sql, session)?.workspace ?? null, now))
      : null;
  return text === null ? null : { kind: "warned", text };
}

function budgetRefusal(sql: Sql, now: number, input: HookCall["input"], session: string): EditVerdict | null {
  const reason = spending.refusal(sql, session, input.tool_name, now);
  return reason === null ? null : { kind: "refused", reason };
}

function editVerdict(
  sql: Sql,
  { now, processes, config }: Runtime,
  { edited }: Pick<HookContext, "edited">,
  session: string,
): EditVerdict {
  if (!edited) return { kind: "free" };
  return checkEdit(sql, { now: now(), processes, session, isStrict: config.team.strictFiles }, edited);
}

/** [HO32] For a tool call that waits: reads the budget and the reservations, and writes nothing. */
export function readVerdict(runtime: Runtime, call: HookCall): EditVerdict {
  const free: EditVerdict = { kind: "free" };
  const edited = guardedFile(runtime, call);
  return runtime.store.read((sql) => {
    const session = sessionOfCall(sql, runtime, call);
    return budgetRefusal(sql, runtime.now(), call.input, session) ?? editVerdict(sql, runtime, { edited }, session);
  }, free);
}

/** [RE186] For the user's own prompt in a chat that no worker runs. */
export function findAcceptance(
  sql: Sql,
  runtime: Runtime,
  { event, input, isLate }: HookContext,
  session: string,
): Acceptance | null {
  const isUsers = event === "UserPromptSubmit" && !isLate && input.agent_id === undefined && !runtime.env["SHIM_TASK"];
  return isUsers ? acceptOffer(sql, runtime, session, input.prompt ?? "") : null;
}

/** [HO18] Skips a sub-agent's stop, a chat that a hook already continued, and a worker's run. */
export function findNews(
  sql: Sql,
  runtime: Runtime,
  { event, input, isLate }: HookContext,
  session: string,
  accepted: Acceptance | null,
): Delivery | null {
  const { now, env, config } = runtime;
  if (isLate) return null;
  const missing = carriesMissing(event, input) ? giveBack(sql, now(), session) : null;
  if (missing !== null) return { context: missing, line: null };
  if (event === "UserPromptSubmit") return deliverAtPrompt(sql, runtime, session, accepted);
  if (event !== "Stop" || isContinued(input) || env["SHIM_TASK"]) return null;
  const context = deliverAtStop(sql, now(), session, config.team.maxContinuationsPerHour);
  return context === null ? null : { context, line: null };
}

/** By a hook before, or a sub-agent's. */
function isContinued({ stop_hook_active: isActive, agent_id: agent }: HookContext["input"]): boolean {
  return isActive === true || agent !== undefined;
}

/** Events of the chat itself whose answer its model reads. */
function carriesMissing(event: HookContext["event"], { agent_id: agent }: HookContext["input"]): boolean {
  return event === "UserPromptSubmit" || (event === "PostToolUse" && agent === undefined);
}

/** Takes the readings; those of a deferred event follow its answer. */
export function checkpointTrigger(
  sql: Sql,
  runtime: Runtime,
  { event, input, isDeferred }: HookContext,
  before: Session,
  part: TranscriptPart | null,
): Trigger | null {
  const session = event === "PostCompact" ? clearContextReadings(sql, runtime.now(), before) : before;
  const call = { toolName: input.tool_name ?? null, toolInput: input.tool_input };
  if (!isDeferred) {
    const { facts, config } = observe(sql, runtime, session, part);
    return dueTrigger(event, { ...facts, ...call }, config.checkpoint);
  }
  if (part) takeReadings(sql, runtime, session, part);
  return eventTrigger(event, call, runtime.config.checkpoint);
}
