import type * as z from "zod";
import type { Risk, RiskLevel } from "../../../contract/readings.ts";
import type { WorkNotes } from "../../../contract/checkpoint.ts";
import { AutoCheckpoint } from "../../../contract/tools.ts";
import { ok, type Result } from "../../../shared/result.ts";
import { capture, type Captured, type CaptureError } from "../../checkpoints/capture.ts";
import type { Trigger } from "../../checkpoints/checkpoints.ts";
import { dueByTimer, observe } from "../../sessions/observe.ts";
import { cleanNotes } from "../notes.ts";
import { captureRefusal } from "../refusals.ts";
import { reasonText } from "./monitor-signals.ts";
import { defineTool, type ToolAnswer, type ToolError } from "../tool.ts";

export const autoCheckpoint = defineTool({
  name: "shim_auto_checkpoint",
  title: "Checkpoint if due",
  description:
    "Say what you are doing and the next step; saved when that changed, or when risk, time or tool calls make it due.",
  annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: false },
  ...AutoCheckpoint,
  run(chat, input) {
    const entered = chat.enter(input);
    if (!entered.ok) return entered;
    const session = entered.value;
    const { runtime } = chat;
    const heard = chat.heard(session);
    const seen = runtime.store.write((sql) => observe(sql, runtime, session, null, heard));
    const isSaid = input.doing !== undefined || input.next !== undefined;
    const trigger = isSaid ? "on_demand" : (dueByTimer(seen, runtime) ?? atCriticalRisk(seen.risk));
    const answer = answerOf(session.id, seen.risk, input.detail);
    if (!trigger)
      return ok({
        text: `Nothing due, risk ${seen.risk.level}.`,
        output: { ...answer, saved: false, reason: "not due" },
      });
    const clean = cleanNotes(notesOf(input));
    const saved = capture(runtime, { sessionId: session.id, trigger, ...clean }, chat.recent);
    return saved.ok ? told(answer, saved.value, trigger) : nothingSaved(answer, saved.error);
  },
});

/** [SI32] So close to the end every change is worth a checkpoint. */
function atCriticalRisk({ level }: Risk): Trigger | null {
  return level === "critical" ? "risk" : null;
}

interface Answer {
  readonly session: string;
  readonly risk: number;
  readonly level: RiskLevel;
  readonly reasons?: string[];
}

function answerOf(session: string, risk: Risk, detail: "concise" | "detailed"): Answer {
  const reasons = detail === "detailed" ? { reasons: risk.reasons.map(reasonText) } : {};
  return { session, risk: risk.score, level: risk.level, ...reasons };
}

function notesOf(input: { doing?: string | undefined; next?: string | undefined }): WorkNotes {
  return {
    ...(input.doing === undefined ? {} : { inProgress: [input.doing] }),
    ...(input.next === undefined ? {} : { nextStep: input.next }),
  };
}

function told(
  answer: Answer,
  { checkpoint, isNew }: Captured,
  trigger: Trigger,
): ReturnType<typeof ok<ToolAnswer<Output>>> {
  return ok({
    text: isNew ? `Saved ${checkpoint.id}.` : `Unchanged since ${checkpoint.id}.`,
    output: { ...answer, saved: isNew, reason: isNew ? trigger : "unchanged", checkpoint: checkpoint.id },
  });
}

function nothingSaved(answer: Answer, error: CaptureError): Result<ToolAnswer<Output>, ToolError> {
  if (error.code !== "nothing_to_save") return captureRefusal(error);
  return ok({ text: "Nothing to save yet.", output: { ...answer, saved: false, reason: "nothing to save yet" } });
}

type Output = z.infer<typeof AutoCheckpoint.output>;
