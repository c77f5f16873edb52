import { asObject, objectAt, textAt } from "../../shared/json-fields.ts";
import type { ContentRow } from "../transcript/transcript-rows.ts";

/**
 * Messages of Gemini CLI as they stand at the end of its file: each is written again when
 * it grows, batches of them replace what has the same id, and the user may go back to before one.
 * Gemini CLI itself forgets what a batch leaves out; the user has said it all the same.
 */
export function* foldGemini(rows: Iterable<ContentRow>): Generator<ContentRow> {
  const messages = new Map<string, ContentRow>();
  for (const one of rows) {
    const { row, damage, position, bytes } = one;
    const batch = objectAt(row, "$set")?.["messages"] ?? row?.["messages"];
    const rewoundTo = textAt(row, "$rewindTo", 200);
    if (Array.isArray(batch)) {
      for (const message of batch.map(asObject))
        messages.set(textAt(message, "id", 200) ?? `@${position}.${messages.size}`, {
          row: message,
          damage: message === null ? "foreign" : damage,
          position,
          bytes,
        });
    } else if (rewoundTo !== null) {
      const ids = [...messages.keys()];
      const from = ids.indexOf(rewoundTo);
      for (const id of from < 0 ? [] : ids.slice(from)) messages.delete(id);
    } else messages.set((row && textAt(row, "id", 200)) ?? `@${position}`, one);
  }
  yield* messages.values();
}
