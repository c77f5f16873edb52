import type { Runtime } from "../../runtime/runtime.ts";
import { redactAndKeepEnds, digest, limits, redactAndClip } from "../sessions/entries.ts";
import * as journal from "../sessions/journal.ts";
import * as sessions from "../sessions/sessions.ts";

/**
 * [MC28] Records what the user has written as a hook would: goal, rules and decisions are found by
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
      const text = redactAndKeepEnds(given, limits.prompt);
      // Each a moment after the one before: the newest request counts as the goal.
      const at = now - (texts.length - 1 - index);
      return journal.append(sql, id, at, `prompt:user:${digest(text)}`, { kind: "prompt", text });
    });
    const title = redactAndClip(fresh[0]?.split("\n")[0] ?? "", limits.label);
    if (title !== "") sessions.update(sql, id, { title });
    return fresh.length > 0;
  });
}
