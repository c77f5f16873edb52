import { adapterOf } from "../../clients/adapters.ts";
import { mayChangeFiles } from "../../clients/adapter/tools.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { isTooSlowForTurns } from "../../snapshots/stored-snapshots.ts";
import { mayBeProject } from "../../snapshots/work-tree.ts";
import { currentState } from "../../machine/checkpoints/capture.ts";
import * as checkpoints from "../../machine/checkpoints/checkpoints.ts";
import { eventTrigger } from "../../machine/checkpoints/triggers.ts";
import { reasonToAsk } from "../../machine/effects/repeat-guard.ts";
import { noteEffects, type CallFolder } from "../../machine/sessions/note-effects.ts";
import { checkEdit, editedFile, isEdit, recordWarning, type EditVerdict } from "../../machine/team/file-guard.ts";
import * as spending from "../../machine/usage/task-spending.ts";
import { identify, type KnownSession } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";

/** Consequences of an event: a verdict on the call that waits, and a checkpoint that is due. */

const free: EditVerdict = { kind: "free" };

/** A task's budget first, then the reserved files, then what cannot be undone. */
export function decide(
  sql: Sql,
  runtime: Runtime,
  incoming: IncomingEvent,
  known: KnownSession,
  effects: readonly EffectNote[],
): EditVerdict {
  const { event, isLate = false } = incoming;
  const { id, has } = known;
  const now = runtime.now();
  if (event === "UserPromptSubmit" && !isLate && has.spending) spending.release(sql, id);
  if (event === "PostToolUse" && !isLate && has.spending) {
    const text = spending.warning(sql, id, now);
    if (text !== null) return { kind: "warned", text };
  }
  return isAwaited(incoming) ? noted(sql, now, id, callVerdict(sql, runtime, incoming, known, effects)) : free;
}

/** The verdict on a call of which no text may be interpreted. */
export function decideUnread(sql: Sql, runtime: Runtime, incoming: IncomingEvent, known: KnownSession): EditVerdict {
  if (!isAwaited(incoming)) return free;
  return noted(sql, runtime.now(), known.id, boundVerdict(sql, runtime, incoming, known));
}

/** For a tool call that waits: reads the budget and the reservations, and writes nothing. */
export function readVerdict(runtime: Runtime, incoming: IncomingEvent): EditVerdict {
  return runtime.store.read((sql) => {
    const known = identify(sql, runtime, incoming);
    return callVerdict(sql, runtime, incoming, known, effectsOf(runtime, incoming, known));
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
export function effectsOf(
  { config }: Pick<Runtime, "config">,
  { input, isLate = false }: IncomingEvent,
  { project, cwd }: Pick<KnownSession, "project" | "cwd">,
): EffectNote[] {
  const folder = input.cwd ?? cwd;
  const where: CallFolder | null = isLate || folder === null ? null : { cwd: folder, project };
  return noteEffects(input, config.effects.commands, where);
}

function isAwaited({ event, isLate = false }: IncomingEvent): boolean {
  return event === "PreToolUse" && !isLate;
}

function noted(sql: Sql, now: number, id: string, verdict: EditVerdict): EditVerdict {
  if (verdict.kind === "warned" && verdict.about !== undefined) recordWarning(sql, now, id, verdict.about);
  return verdict;
}

function callVerdict(
  sql: Sql,
  runtime: Runtime,
  incoming: IncomingEvent,
  known: KnownSession,
  effects: readonly EffectNote[],
): EditVerdict {
  const bound = boundVerdict(sql, runtime, incoming, known);
  return (bound.kind === "refused" ? null : repeatVerdict(sql, runtime, incoming, known.id, effects)) ?? bound;
}

function boundVerdict(
  sql: Sql,
  { now, processes, config: { team } }: Runtime,
  { input }: IncomingEvent,
  { id, has }: KnownSession,
): EditVerdict {
  const reason = has.spending ? spending.refusal(sql, id, input.tool_name, now()) : null;
  if (reason !== null) return { kind: "refused", reason };
  const edited = team.isEnabled && has.reservations ? editedFile(input) : null;
  if (!edited) return free;
  return checkEdit(sql, { now: now(), processes, session: id, isStrict: team.strictFiles }, edited);
}

/** A client that cannot ask refuses. */
function repeatVerdict(
  sql: Sql,
  { config, now }: Runtime,
  { clientName }: IncomingEvent,
  id: string,
  effects: readonly EffectNote[],
): EditVerdict | null {
  const state = effects.length === 0 || config.effects.guard === "off" ? null : currentState(sql, id);
  if (state === null) return null;
  const isAsking = adapterOf(clientName)?.asksUser ?? false;
  const reason = reasonToAsk(state, effects, config.effects, isAsking, now());
  return reason === null ? null : { kind: isAsking ? "asked" : "refused", reason };
}

/** Why a checkpoint is due at once. */
export function dueTrigger(
  sql: Sql,
  runtime: Runtime,
  { event, input, isLate = false }: IncomingEvent,
  known: KnownSession,
  project: string | null,
): Trigger | null {
  const due = eventTrigger(event, input, runtime.config.checkpoint);
  if (due !== null || event !== "PreToolUse" || isLate) return due;
  return isTurnDue(sql, runtime, input.tool_name ?? "", known.id, project) ? "turn" : null;
}

/** Before the first tool of a turn that may change files. */
function isTurnDue(sql: Sql, { config, env, now }: Runtime, tool: string, id: string, project: string | null): boolean {
  if (project === null || !config.snapshots.isEnabled || !mayChangeFiles(tool)) return false;
  if (checkpoints.hasTurnStart(sql, id)) return false;
  return mayBeProject(env, project) && !isTooSlowForTurns(sql, project, now());
}
