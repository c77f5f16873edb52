import { recentStates } from "../../../machine/checkpoints/capture.ts";
import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok, err, type Result } from "../../../shared/result.ts";
import { timerTrigger } from "../../../learning/policy/risk.ts";
import { observeNow, refresh } from "../../../machine/signals/observe.ts";
import type { ToolHandler, ToolInput } from "./tool.ts";
import type { Readings, Risk } from "../../../contract/readings.ts";
import { stateText } from "../../../contract/chat-state.ts";
import { readSessionStatus } from "../../../machine/operations/session-view.ts";
import { neutralize } from "../../../machine/text/neutralize.ts";
import { age } from "../../../shared/format.ts";
import type { ToolError } from "../chat/chat.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { checkedEffects } from "../../../machine/operations/effects-handlers.ts";
import { forgetTarget } from "../../../machine/operations/session-handlers.ts";
import { acknowledgeNotices } from "../../../machine/operations/overview-handlers.ts";
import { dismiss } from "../../../machine/recovery/marks.ts";
import { findStoredSession } from "../../../machine/sessions/short-ids.ts";
import { captureNotes, captureRefusal, finish, recordUserWords } from "../chat/capture-notes.ts";

export const autoCheckpoint: ToolHandler<"shim_auto_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const session = entered.value;
  const { runtime } = chat;
  const { risk, facts, config } = observeNow(runtime, session);
  const isNews = recordUserWords(runtime, session, input.user);
  const due = timerTrigger(facts, config.checkpoint) ?? (risk.level === "critical" ? "risk" : null);
  const { doing, next: nextStep } = input;
  const notes = omitUndefined({ inProgress: doing === undefined ? undefined : [doing], nextStep });
  const trigger = isNews || Object.keys(notes).length > 0 ? "on_demand" : due;
  const reasons = input.detail === "detailed" ? { reasons: risk.reasons.map(formatReason) } : {};
  const answer = { session: session.id, risk: risk.score, level: risk.level, ...reasons };
  if (!trigger)
    return ok({ text: `Nothing due, risk ${risk.level}.`, output: { ...answer, saved: false, reason: "not due" } });
  const saved = captureNotes(chat, session.id, trigger, notes);
  if (saved.ok) {
    const { checkpoint, isNew } = saved.value;
    return ok({
      text: isNew ? `Saved ${checkpoint.id}.` : `Unchanged since ${checkpoint.id}.`,
      output: { ...answer, saved: isNew, reason: isNew ? trigger : "unchanged", checkpoint: checkpoint.id },
    });
  }
  if (saved.error.code !== "nothing_to_save") return captureRefusal(saved.error);
  return ok({ text: "Nothing to save yet.", output: { ...answer, saved: false, reason: "nothing to save yet" } });
};

export const forceCheckpoint: ToolHandler<"shim_force_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const sessionId = entered.value.id;
  const { session: _session, project: _project, finish: isFinished, detail, ...given } = input;
  const saved = captureNotes(chat, sessionId, "on_demand", given);
  if (!saved.ok) return captureRefusal(saved.error);
  if (isFinished) finish(chat, sessionId);
  const { checkpoint, isNew, redactions } = saved.value;
  const end = isFinished ? " The session is marked finished." : "";
  return ok({
    text: `${isNew ? "Saved" : "Unchanged since"} ${checkpoint.id} (${checkpoint.rawBytes} bytes).${end}`,
    output: {
      session: sessionId,
      checkpoint: checkpoint.id,
      isNew,
      bytes: checkpoint.rawBytes,
      redactions,
      ...(detail === "detailed" ? { summary: checkpoint.summary } : {}),
    },
  });
};

export const monitorSignals: ToolHandler<"shim_monitor_signals"> = (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const session = entered.value;
  const { contextTokens: tokens } = input;
  const reported: Readings =
    tokens === undefined ? {} : { contextTokens: { value: tokens, source: "reported", at: runtime.now() } };
  const { risk, readings } = refresh(runtime, session, reported);
  const reasons = risk.reasons.map(formatReason);
  return ok({
    text: `Risk ${risk.score} (${risk.level}). ${reasons.join("; ") || "No reason above its threshold."}`,
    output: {
      session: session.id,
      risk: risk.score,
      level: risk.level,
      reasons,
      ...(input.detail === "detailed" ? { readings } : {}),
    },
  });
};

function formatReason({ name, value, threshold, weight, source }: Risk["reasons"][number]): string {
  return `${name} ${round(value)} over ${round(threshold)} (+${weight}, ${source})`;
}

function round(value: number): number {
  return Math.abs(value) < 10 ? Math.round(value * 100) / 100 : Math.round(value);
}

export const sessionStatus: ToolHandler<"shim_session_status"> = async (chat, input) => {
  const entered = chat.enter(input, "look");
  if (!entered.ok) return entered;
  const { runtime } = chat;
  const status = readSessionStatus(runtime, entered.value);
  if (!status) return captureRefusal({ code: "unknown_session" });
  const { view, latest, died, offeredHere, driver } = status;
  const effects = input.detail === "detailed" ? await checkedEffects(runtime, entered.value) : [];
  const { id, client, title, project, state, detail, savedAt, checkpoints: count } = view;
  const savedMsAgo = savedAt === null ? undefined : runtime.now() - savedAt;
  const saved = savedMsAgo === undefined ? "not saved yet" : `saved ${age(savedMsAgo)} ago`;
  const dead = offeredHere === 0 ? String(died) : `${died}, ${offeredHere} of them offered to this chat`;
  return ok({
    text: `Session ${id}: ${stateText(view)}; ${saved}; checkpoints: ${count}; other sessions that died: ${dead}.`,
    output: {
      session: id,
      client,
      state,
      detail,
      ...(title === null ? {} : { title: neutralize(title) }),
      ...(project ? { project } : {}),
      ...(savedMsAgo === undefined ? {} : { savedMsAgo }),
      checkpoints: count,
      died,
      ...(offeredHere === 0 ? {} : { offeredHere }),
      store: driver ?? "closed",
      ...(input.detail === "detailed" && latest ? { latest: { ...latest } } : {}),
      ...(effects.length > 0 ? { effects } : {}),
    },
  });
};

export const clearState: ToolHandler<"shim_clear_state"> = async (chat, input) => {
  const entered = chat.enter({ session: input.session, project: input.project }, "delete");
  if (!entered.ok) return entered;
  const cleared = await clear(chat.runtime, input);
  if (!cleared.ok) return cleared;
  recentStates(chat.runtime.store).clear();
  const { deleted, rows, backup } = cleared.value;
  const where = backup ? ` Backup: ${backup}` : "";
  return ok({
    text: `Deleted ${deleted} (${input.scope}).${where}`,
    output: {
      session: entered.value.id,
      deleted,
      ...(backup ? { backup } : {}),
      ...(input.detail === "detailed" && rows !== undefined ? { rows } : {}),
    },
  });
};

interface Cleared {
  readonly deleted: number;
  readonly rows?: number;
  readonly backup?: string | null;
}

/** An unknown id changes nothing. */
async function clear(
  runtime: Runtime,
  { scope, id, forget }: ToolInput<"shim_clear_state">,
): Promise<Result<Cleared, ToolError>> {
  if (scope === "notices") return ok({ deleted: acknowledgeNotices(runtime).length });
  const isCheckpoint = scope === "checkpoint";
  const kind = isCheckpoint ? "checkpoint" : "session";
  if (id === undefined) return err({ code: "id_missing", message: `scope "${scope}" needs the id of the ${kind}.` });
  const unknown = err({ code: "unknown_id", message: `SHIM knows no ${kind} "${id}". Nothing was deleted.` });
  const found = isCheckpoint ? ok({ id }) : findStoredSession(runtime, id);
  if (!found.ok) return found;
  if (found.value === null) return unknown;
  const target = found.value.id;
  if (scope === "offer") return ok({ deleted: dismiss(runtime, target) ? 1 : 0 });
  const forgotten = await forgetTarget(runtime, { target, isCheckpoint, keepsCopies: forget !== true }, "chat");
  if (!forgotten.ok) return forgotten.error.code === "not_found" ? unknown : forgotten;
  const { sessions, checkpoints, ...rest } = forgotten.value;
  return ok({ ...rest, deleted: isCheckpoint ? checkpoints : sessions });
}
