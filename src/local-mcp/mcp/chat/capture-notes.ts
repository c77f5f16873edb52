import { stored } from "../../../contract/limits.ts";
import type { Failure } from "../../../contract/errors.ts";
import type { Trigger, WorkNotes } from "../../../contract/checkpoint.ts";
import { repeatWithinBudget } from "../../../platform/time-budget.ts";
import { redactJson } from "../../../redaction/redact-json.ts";
import { maxLabelChars, redactAndKeepEnds, redactAndClip } from "../../../redaction/redact.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { fail, ok, type Result } from "../../../shared/result.ts";
import { capture, type CaptureError, type CaptureResult } from "../../../machine/sessions/checkpoints/capture.ts";
import { digest } from "../../../machine/sessions/entries.ts";
import * as journal from "../../../machine/sessions/journal.ts";
import { note } from "../../../machine/sessions/ending/ending.ts";
import * as sessions from "../../../machine/sessions/sessions.ts";
import type { Chat } from "./chat.ts";

/** Field limits hold for the input only: a redaction mark may be longer than the secret. */
export function captureNotes(
  { runtime }: Chat,
  sessionId: string,
  trigger: Trigger,
  given: WorkNotes,
): Result<CaptureResult & { readonly redactions: number }, CaptureError> {
  const budget = { chars: JSON.stringify(given).length };
  const { value, count: redactions } = repeatWithinBudget((bound) => bound(() => redactJson(given)), budget);
  // Redaction keeps the shape; a path of only private text becomes empty.
  const { files, ...rest } = value as WorkNotes;
  const notes = { ...rest, ...(files ? { files: files.filter((path) => path.trim() !== "") } : {}) };
  const saved = capture(runtime, { sessionId, trigger, notes, redactions });
  return saved.ok ? ok({ ...saved.value, redactions }) : saved;
}

/** Ends the session: no chat is offered it. */
export function finish({ runtime }: Chat, sessionId: string): void {
  const left = { at: runtime.now(), reason: "finished" };
  runtime.store.write((sql) => note(sql, runtime, sessionId, { left }));
}

export function captureRefusal(error: CaptureError): { readonly ok: false; readonly error: Failure } {
  switch (error.code) {
    case "unknown_session":
      return fail(error.code, 'This session has been deleted. Call again without "session".');
    case "nothing_to_save":
      return fail(error.code, "Nothing is known of this session yet. Give at least goal, nextStep or state.");
    case "too_large":
      return fail(
        error.code,
        `The state is ${error.bytes} bytes, the limit is ${error.maxBytes}; most is in "${error.largest}". Shorten it and call again; nothing was saved.`,
      );
  }
}

/**
 * Records what the user has written as a hook would: goal, rules and decisions are found by
 * the same means. A chat that has hooks is not recorded twice.
 *
 * @param words oldest first
 * @returns whether any of it is new: a model may repeat what it has passed before
 */
export function recordUserWords(
  runtime: Runtime,
  { id, origin }: sessions.Session,
  words: readonly string[] = [],
): boolean {
  const texts = words.map((text) => text.trim()).filter((text) => text !== "");
  if (origin !== "handle" || texts.length === 0) return false;
  const now = runtime.now();
  return runtime.store.write((sql) => {
    const fresh = texts.filter((given, index) => {
      const text = redactAndKeepEnds(given, stored.prompt);
      // Each a moment after the one before: the newest request counts as the goal.
      const at = now - (texts.length - 1 - index);
      return journal.append(sql, id, at, `prompt:user:${digest(text)}`, { kind: "prompt", text });
    });
    const title = redactAndClip(fresh[0]?.split("\n")[0] ?? "", maxLabelChars);
    if (title !== "") sessions.update(sql, id, { title });
    return fresh.length > 0;
  });
}
