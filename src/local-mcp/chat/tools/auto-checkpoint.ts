import { omitUndefined } from "../../../shared/omit-undefined.ts";
import { ok } from "../../../shared/result.ts";
import { timerTrigger } from "../../../policy/save-triggers.ts";
import { observeNow } from "../../observe/observe.ts";
import { recordUserWords } from "../user-words.ts";
import { captureNotes, captureRefusal } from "../capture-notes.ts";
import { formatReason } from "./monitor-signals.ts";
import type { ToolHandler } from "./tool.ts";

export const autoCheckpoint: ToolHandler<"shim_auto_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const session = entered.value;
  const { runtime } = chat;
  const heard = chat.exchanges.readings(session);
  const { risk, facts, config } = observeNow(runtime, session, heard);
  const isNews = recordUserWords(runtime, session, input.user);
  // [SI32]
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
