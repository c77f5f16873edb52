import type { ToolError } from "../chat.ts";
import type { Risk, RiskLevel } from "../../../contract/readings.ts";
import type { WorkNotes } from "../../../contract/checkpoint.ts";
import { ok, type Result } from "../../../shared/result.ts";
import type { CaptureResult, CaptureError } from "../../checkpoints/capture.ts";
import type { Trigger } from "../../../contract/checkpoint.ts";
import { timerTrigger } from "../../../policy/save-triggers.ts";
import { observe } from "../../observe/observe.ts";
import { recordUserWords } from "../user-words.ts";
import { captureNotes, captureRefusal } from "./capture-notes.ts";
import { formatReason } from "./monitor-signals.ts";
import type { ToolHandler, ToolOutput, ToolAnswer } from "./tool.ts";

export const autoCheckpoint: ToolHandler<"shim_auto_checkpoint"> = (chat, input) => {
  const entered = chat.enter(input);
  if (!entered.ok) return entered;
  const session = entered.value;
  const { runtime } = chat;
  const heard = chat.exchanges.readings(session);
  const { risk, facts, config } = runtime.store.write((sql) => observe(sql, runtime, session, null, heard));
  const isNews = recordUserWords(runtime, session, input.user);
  // [SI32]
  const due = timerTrigger(facts, config.checkpoint) ?? (risk.level === "critical" ? "risk" : null);
  const trigger = isNews || isAnythingSaid(input) ? "on_demand" : due;
  const answer = toAnswer(session.id, risk, input.detail);
  if (!trigger)
    return ok({
      text: `Nothing due, risk ${risk.level}.`,
      output: { ...answer, saved: false, reason: "not due" },
    });
  const saved = captureNotes(chat, session.id, trigger, notesOf(input));
  return saved.ok ? toCaptureAnswer(answer, saved.value, trigger) : nothingSaved(answer, saved.error);
};

function isAnythingSaid({ doing, next }: { doing?: string | undefined; next?: string | undefined }): boolean {
  return doing !== undefined || next !== undefined;
}

interface CheckpointAnswer {
  readonly session: string;
  readonly risk: number;
  readonly level: RiskLevel;
  readonly reasons?: string[];
}

function toAnswer(session: string, risk: Risk, detail: "concise" | "detailed"): CheckpointAnswer {
  const reasons = detail === "detailed" ? { reasons: risk.reasons.map(formatReason) } : {};
  return { session, risk: risk.score, level: risk.level, ...reasons };
}

function notesOf(input: { doing?: string | undefined; next?: string | undefined }): WorkNotes {
  return {
    ...(input.doing === undefined ? {} : { inProgress: [input.doing] }),
    ...(input.next === undefined ? {} : { nextStep: input.next }),
  };
}

function toCaptureAnswer(
  answer: CheckpointAnswer,
  { checkpoint, isNew }: CaptureResult,
  trigger: Trigger,
): ReturnType<typeof ok<ToolAnswer<Output>>> {
  return ok({
    text: isNew ? `Saved ${checkpoint.id}.` : `Unchanged since ${checkpoint.id}.`,
    output: { ...answer, saved: isNew, reason: isNew ? trigger : "unchanged", checkpoint: checkpoint.id },
  });
}

function nothingSaved(answer: CheckpointAnswer, error: CaptureError): Result<ToolAnswer<Output>, ToolError> {
  if (error.code !== "nothing_to_save") return captureRefusal(error);
  return ok({ text: "Nothing to save yet.", output: { ...answer, saved: false, reason: "nothing to save yet" } });
}

type Output = ToolOutput<"shim_auto_checkpoint">;
