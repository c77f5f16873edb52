import type { WorkState } from "../../contract/work-state.ts";

/** Whether the last turn ended with work left, in the background too, or a question to the user. */
export function hasOpenWork({ todos, inProgress, openQuestions, words, prompts, background }: WorkState): boolean {
  if (background !== undefined && background.length > 0) return true;
  if (inProgress.length > 0 || openQuestions.length > 0) return true;
  if (todos.some(({ status }) => status !== "completed")) return true;
  const last = words.at(-1);
  return last !== undefined && last.at >= (prompts.at(-1)?.at ?? 0) && endsInQuestion(last.text);
}

/** Markdown marks and quotes may follow the question mark. */
function endsInQuestion(text: string): boolean {
  return /[?\uff1f\u061f][\s*_`"')\]\u201d\u00bb]*$/.test(text);
}
