import { mayChangeFiles } from "../../clients/adapter/tools.ts";
import { adapterOf } from "../../clients/adapters.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookAnswer, HookEvent, HookInput } from "../../contract/hooks.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { currentState } from "../../machine/sessions/checkpoints/capture.ts";
import * as checkpoints from "../../machine/sessions/checkpoints/checkpoints.ts";
import { eventTrigger } from "../../machine/sessions/checkpoints/triggers.ts";
import { reasonToAsk } from "../../machine/sessions/effects/repeat-guard.ts";
import { acceptedContext } from "../../machine/recovery/given-context.ts";
import { noteEffects, type CallFolder } from "../../machine/sessions/effects.ts";
import { effectiveWindow } from "../../machine/sessions/signals/context-readings.ts";
import { type EditVerdict, checkEdit, editedFile, isEdit, recordWarning } from "../../machine/team/file-guard.ts";
import * as spending from "../../machine/sessions/usage/task-spending.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { isTooSlowForTurns } from "../../snapshots/stored-snapshots.ts";
import { mayBeProject } from "../../snapshots/work-tree.ts";
import { identify, type IdentifiedEvent } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";
import type { RecordedEvent } from "./record-event.ts";
import { isWithoutUser, emptyStart, type StartAnswer } from "./session-bounds.ts";

/** Other text at a stop would make Claude Code continue, or would not be read. */
export function toAnswer(
  runtime: Runtime,
  incoming: IncomingEvent,
  recorded: RecordedEvent,
  start: StartAnswer | null,
): HookAnswer {
  const { event, input } = incoming;
  const { verdict, news, conflict } = recorded;
  if (event === "Stop")
    return {
      ...(conflict === null ? {} : { systemMessage: conflict }),
      ...(news === null ? {} : { decision: "block", reason: news.context }),
    };
  if (verdict.kind === "refused" || verdict.kind === "asked") return verdictAnswer(event, verdict);
  if (event === "PreModelSwitch") return modelSwitch(runtime, event, input);
  return toText(event, recorded, start ?? emptyStart, acceptedAnswer(runtime, recorded));
}

/** Denies a refused tool call, has its user asked, or warns. */
export function verdictAnswer(event: HookEvent, verdict: EditVerdict): HookAnswer {
  if (verdict.kind === "free") return {};
  if (verdict.kind === "warned") {
    const { text } = verdict;
    return { systemMessage: text, hookSpecificOutput: { hookEventName: event, additionalContext: text } };
  }
  const permissionDecision = verdict.kind === "asked" ? "ask" : "deny";
  return { hookSpecificOutput: { hookEventName: event, permissionDecision, permissionDecisionReason: verdict.reason } };
}

/** A brief that comes as news says already that the chat has the session. */
function acceptedAnswer(runtime: Runtime, { accepted, news }: RecordedEvent): StartAnswer {
  if (accepted === null) return emptyStart;
  const withCommand = (text: string): string => withShimCommand(text, () => shimCommand(runtime));
  const isBriefed = news?.brief === accepted.session;
  return {
    context: isBriefed ? null : withCommand(acceptedContext(runtime, accepted)),
    line: accepted.line && withCommand(accepted.line),
  };
}

function toText(
  event: HookEvent,
  { verdict, news, warning, conflict }: RecordedEvent,
  start: StartAnswer,
  accepted: StartAnswer,
): HookAnswer {
  const verdictText = verdict.kind === "warned" ? verdict.text : null;
  const { context: newsContext, line: newsLine } = news ?? emptyStart;
  const given = [start.context ?? newsContext ?? verdictText, accepted.context].filter((text) => text !== null);
  const context = given.join("\n\n");
  const lines = [start.line, newsLine, accepted.line, conflict, warning ?? verdictText].filter((text) => text !== null);
  return {
    ...(lines.length > 0 ? { systemMessage: lines.join("\n") } : {}),
    ...(context ? { hookSpecificOutput: { hookEventName: event, additionalContext: context } } : {}),
  };
}

/** Asks: a message would be shown after the switch. A client without a user refuses. */
function modelSwitch({ env }: Runtime, event: HookEvent, input: HookInput): HookAnswer {
  const warning = switchWarning(input, env);
  if (warning === null) return {};
  if (isWithoutUser(env)) return { systemMessage: warning };
  const question = { permissionDecision: "ask", permissionDecisionReason: warning } as const;
  return { hookSpecificOutput: { hookEventName: event, ...question } };
}

function switchWarning(input: HookInput, env: NodeJS.ProcessEnv): string | null {
  const { from_model: from, to_model: to, context_tokens: contextTokens } = input;
  const window = to === undefined ? null : effectiveWindow(to, env);
  if (window === null || contextTokens === undefined || contextTokens <= window) return null;
  const stay = from === undefined ? "" : `, or stay with ${from}`;
  const [held, taken] = [contextTokens, window].map((tokens) => tokens.toLocaleString("en-US"));
  // The client shows about 160 characters.
  return `SHIM: this chat holds ${held} tokens, and ${to} takes ${taken}: run /compact first${stay}. Everything is saved.`;
}

/** Consequences of an event: a verdict on the call that waits, and a checkpoint that is due. */

const free: EditVerdict = { kind: "free" };

/** A task's budget first, then the reserved files, then what cannot be undone. */
export function decide(identified: IdentifiedEvent, effects: readonly EffectNote[]): EditVerdict {
  const { sql, runtime, incoming, known } = identified;
  const { event, isLate = false } = incoming;
  const { id, has } = known;
  const now = runtime.now();
  if (event === "UserPromptSubmit" && !isLate && has.spending > 0) spending.release(sql, id);
  if (event === "PostToolUse" && !isLate && has.spending > 0) {
    const text = spending.warning(sql, id, now);
    if (text !== null) return { kind: "warned", text };
  }
  return isAwaited(incoming) ? noted(sql, now, id, callVerdict(identified, effects)) : free;
}

/** The verdict on a call of which no text may be interpreted. */
export function decideUnread(identified: IdentifiedEvent): EditVerdict {
  const { sql, runtime, incoming, known } = identified;
  return isAwaited(incoming) ? noted(sql, runtime.now(), known.id, boundVerdict(identified)) : free;
}

/** For a tool call that waits: reads the budget and the reservations, and writes nothing. */
export function readVerdict(runtime: Runtime, incoming: IncomingEvent): EditVerdict {
  return runtime.store.read((sql) => {
    const identified = { sql, runtime, incoming, known: identify(sql, runtime, incoming) };
    return identified.known.isPaused ? free : callVerdict(identified, effectsOf(identified));
  }, free);
}

/** Not refused by default: SHIM's own trouble must not end the client's work. */
export function uncheckedVerdict({ config: { team } }: Runtime, { input }: IncomingEvent): EditVerdict {
  const cause = "its store cannot be read. Run `shim doctor`";
  if (team.blockUnchecked)
    return { kind: "refused", reason: `SHIM could not check this call: ${cause}, then try again.` };
  if (!team.isEnabled || !isEdit(input)) return free;
  const subject = "SHIM could not check whether another chat has reserved this file";
  return { kind: "warned", text: `${subject}: ${cause}. The edit is allowed.` };
}

/** The commands of a call that cannot be undone; a late one runs no more where it ran. */
export function effectsOf({ runtime, incoming, known: { project, cwd } }: IdentifiedEvent): EffectNote[] {
  const { event, input, isLate = false } = incoming;
  const folder = input.cwd ?? cwd;
  const isBefore = event === "PreToolUse" || event === "PermissionRequest";
  const where: CallFolder | null = isLate || folder === null ? null : { cwd: folder, project, isBefore };
  return noteEffects(input, runtime.config.effects.commands, where);
}

/** Why SHIM itself has the user asked for a call, or would refuse it; null: another rule asks. */
export function guardReason(identified: IdentifiedEvent, effects: readonly EffectNote[]): string | null {
  const verdict = callVerdict(identified, effects);
  return verdict.kind === "asked" || verdict.kind === "refused" ? verdict.reason : null;
}

function isAwaited({ event, isLate = false }: IncomingEvent): boolean {
  return event === "PreToolUse" && !isLate;
}

function noted(sql: Sql, now: number, id: string, verdict: EditVerdict): EditVerdict {
  if (verdict.kind === "warned" && verdict.about !== undefined) recordWarning(sql, now, id, verdict.about);
  return verdict;
}

function callVerdict(identified: IdentifiedEvent, effects: readonly EffectNote[]): EditVerdict {
  const bound = boundVerdict(identified);
  return (bound.kind === "refused" ? null : repeatVerdict(identified, effects)) ?? bound;
}

function boundVerdict({ sql, runtime, incoming: { input }, known: { id, has } }: IdentifiedEvent): EditVerdict {
  const { now, processes, config } = runtime;
  const reason = has.spending > 0 ? spending.refusal(sql, id, input.tool_name, now()) : null;
  if (reason !== null) return { kind: "refused", reason };
  const edited = config.team.isEnabled && has.reservations > 0 ? editedFile(input) : null;
  if (!edited) return free;
  return checkEdit(sql, { now: now(), processes, session: id, isStrict: config.team.strictFiles }, edited);
}

/** A client that cannot ask refuses. */
function repeatVerdict(
  { sql, runtime: { config, now }, incoming, known }: IdentifiedEvent,
  effects: readonly EffectNote[],
): EditVerdict | null {
  const state = effects.length === 0 || config.effects.guard === "off" ? null : currentState(sql, known.id);
  if (state === null) return null;
  const isAsking = adapterOf(incoming.clientName)?.asksUser ?? false;
  const reason = reasonToAsk(state, effects, config.effects, isAsking, now());
  return reason === null ? null : { kind: isAsking ? "asked" : "refused", reason };
}

/** Why a checkpoint is due at once. */
export function dueTrigger(identified: IdentifiedEvent, project: string | null): Trigger | null {
  const { runtime, incoming } = identified;
  const { event, input, isLate = false } = incoming;
  const due = eventTrigger(event, input, runtime.config.checkpoint);
  if (due !== null || event !== "PreToolUse" || isLate) return due;
  return isTurnDue(identified, project) ? "turn" : null;
}

/** Before the first tool of a turn that may change files. */
function isTurnDue({ sql, runtime, incoming: { input }, known }: IdentifiedEvent, project: string | null): boolean {
  const { config, env, now } = runtime;
  if (project === null || !config.snapshots.isEnabled || !mayChangeFiles(input.tool_name ?? "")) return false;
  if (checkpoints.hasTurnStart(sql, known.id)) return false;
  return mayBeProject(env, project) && !isTooSlowForTurns(sql, project, now());
}
