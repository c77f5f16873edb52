import type { UserRequest, WorkState } from "../../contract/work-state.ts";
import { findCompletion } from "../words/completion.ts";
import { decisionsNamedIn } from "./remarks.ts";
import type { PromptContext } from "./request-kind.ts";
import { lastGoalRequest, withoutMarks } from "./requests.ts";

export function beforePrompt(state: WorkState, question: string, prompt: string): PromptContext {
  return {
    isAsked: /[?？]\s*$/.test(question),
    isGoalReached: goalReached(state) !== null,
    isAboutDecision: decisionsNamedIn(state, prompt).length > 0,
  };
}

export function goalReached(
  { requests = [], conversation }: WorkState,
  goal: Pick<UserRequest, "text" | "at"> | null = lastGoalRequest(requests),
): string | null {
  if (goal === null) return null;
  const since = conversation.filter(({ role, at }) => role === "assistant" && at >= (goal.at ?? 0));
  const words = withoutMarks(goal.text);
  return since.map(({ text }) => findCompletion(words, text, 0.4)).findLast((one) => one !== null) ?? null;
}

export function goalRequestBefore(requests: readonly UserRequest[]): UserRequest | null {
  const last = requests.findLastIndex((one) => one.kind === undefined);
  return last > 0 ? lastGoalRequest(requests.slice(0, last)) : null;
}
