import { editedPath } from "../../clients/adapter/tools.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { currentState } from "../../machine/sessions/checkpoints/capture.ts";
import { noteCall, type CallFolder, type CallNotes } from "../../machine/sessions/call-notes.ts";
import { reasonToAsk } from "../../machine/sessions/effects/repeat-guard.ts";
import * as spending from "../../machine/sessions/usage/task-spending.ts";
import { checkEdit, editedFile, recordWarning, type EditVerdict } from "../../machine/team/file-guard.ts";
import type { EventMachine, Runtime } from "../../runtime/runtime.ts";
import type { Concern, Draft, Recording } from "./concern.ts";
import { identify, type IdentifiedEvent } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";
import { stopRefusal } from "./stopped-turn.ts";

const free: EditVerdict = { kind: "free" };

/** A task's budget first, then the reserved files, then what cannot be undone. */
export const guard: Concern = {
  name: "guard",
  on: ["UserPromptSubmit", "PreToolUse", "PermissionRequest", "PostToolUse", "PostToolUseFailure"],
  isForLate: true,
  inTransaction(event, draft) {
    const { sql, machine, incoming, known, session } = event;
    const { event: kind, input, isLate = false } = incoming;
    if (kind !== "UserPromptSubmit") draft.call = notesOf(event);
    if (isLate) return;
    if (kind === "PreToolUse") judge(event, draft, callVerdict(event, draft.call?.effects));
    if (kind === "PermissionRequest")
      draft.asked = { session: session.id, input, guard: reasonOf(callVerdict(event, draft.call?.effects)) };
    if (known.has.spending === 0) return;
    if (kind === "UserPromptSubmit") spending.release(sql, known.id);
    const text = kind === "PostToolUse" ? spending.warning(sql, known.id, machine.now()) : null;
    if (text !== null) draft.verdict = { kind: "warned", text };
  },
};

/** Budget and reserved files of a call of which no text may be interpreted. */
export const unreadGuard: Concern = {
  name: "guard of an unread call",
  on: ["PreToolUse"],
  isForLate: false,
  inTransaction: (event, draft) => judge(event, draft, boundVerdict(event)),
};

function judge({ sql, machine, known }: Recording, draft: Draft, verdict: EditVerdict): void {
  if (verdict.kind === "warned" && verdict.about !== undefined)
    recordWarning(sql, machine.now(), known.id, verdict.about);
  draft.verdict = verdict;
}

/** Why SHIM itself has the user asked for a call, or would refuse it; null: another rule asks. */
function reasonOf(verdict: EditVerdict): string | null {
  return verdict.kind === "asked" || verdict.kind === "refused" ? verdict.reason : null;
}

/** For a tool call that waits: reads the budget and the reservations, and writes nothing. */
export function readVerdict(runtime: Runtime, incoming: IncomingEvent): EditVerdict {
  return runtime.store.read((sql) => {
    const event = { sql, machine: runtime, readAt: runtime.now(), incoming, known: identify(sql, runtime, incoming) };
    return event.known.isPaused ? free : callVerdict(event, notesOf(event).effects);
  }, free);
}

/** Never refused: SHIM's own trouble must not end the client's work. */
export function uncheckedVerdict({ config: { team } }: EventMachine, { input }: IncomingEvent): EditVerdict {
  const cause = "its store cannot be read. Run `shim doctor`";
  if (!team.isEnabled || editedPath(input) === null) return free;
  const subject = "SHIM could not check whether another chat has reserved this file";
  return { kind: "warned", text: `${subject}: ${cause}. The edit is allowed.` };
}

/** A late call runs no more where it ran. */
function notesOf({ machine, incoming, known: { project, cwd } }: IdentifiedEvent): CallNotes {
  const { event, input, isLate = false } = incoming;
  const folder = input.cwd ?? cwd;
  const isBefore = event === "PreToolUse" || event === "PermissionRequest";
  const where: CallFolder | null = isLate || folder === null ? null : { cwd: folder, project, isBefore };
  return noteCall(input, machine.config.effects.commands, where);
}

function callVerdict(event: IdentifiedEvent, effects: readonly EffectNote[] = []): EditVerdict {
  const bound = boundVerdict(event);
  return (bound.kind === "refused" ? null : repeatVerdict(event, effects)) ?? bound;
}

function boundVerdict({ sql, machine, incoming, known: { id, has } }: IdentifiedEvent): EditVerdict {
  const { input } = incoming;
  const { now, processes, config } = machine;
  const stopped = stopRefusal(machine, incoming, id);
  if (stopped !== null) return { kind: "refused", reason: stopped };
  const reason = has.spending > 0 ? spending.refusal(sql, id, input.tool_name, now()) : null;
  if (reason !== null) return { kind: "refused", reason };
  const edited = config.team.isEnabled && has.reservations > 0 ? editedFile(input) : null;
  if (!edited) return free;
  return checkEdit(sql, { now: now(), processes, session: id, isStrict: config.team.strictFiles }, edited);
}

/** A client that cannot ask refuses. */
function repeatVerdict(
  { sql, machine: { config, now }, incoming, known }: IdentifiedEvent,
  effects: readonly EffectNote[],
): EditVerdict | null {
  const state = effects.length === 0 || config.effects.guard === "off" ? null : currentState(sql, known.id);
  if (state === null) return null;
  const isAsking = incoming.client.asksUser === true;
  const reason = reasonToAsk(state, effects, config.effects, isAsking, now());
  return reason === null ? null : { kind: isAsking ? "asked" : "refused", reason };
}
