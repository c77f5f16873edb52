import { recallFor } from "../../../machine/recovery/operations/recall-handlers.ts";
import { fail, ok } from "../../../shared/result.ts";
import { parseTime } from "../../../shared/time-text.ts";
import type { ToolHandler } from "./tool.ts";

export const recallTool: ToolHandler<"shim_recall"> = (chat, { of, at: when, session: own, ...question }) => {
  const entered = chat.enter({ session: own }, "look");
  if (!entered.ok) return entered;
  const { id } = entered.value;
  const at = when === undefined ? undefined : parseTime(when, chat.runtime.now());
  if (at === null)
    return fail("bad_input", `"${when}" is no time: give an age (2h, 15m) or a date (2026-11-20T08:00).`);
  const answer = recallFor(chat.runtime, id, of, { ...question, at });
  return answer.ok ? ok({ text: answer.value.text, output: { session: id, message: answer.value.text } }) : answer;
};
