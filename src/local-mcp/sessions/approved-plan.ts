import type { ApprovedPlan } from "../../contract/work-state.ts";
import { findCompletion, isSuccess } from "../words/completion.ts";
import { sentences } from "../words/sentences.ts";

/** Pure. */

const step = /^\s*(?:[-*•+]|\d+[.)])\s+(?:\[[ x]\]\s*)?(.*\p{L}.*)$/iu;

export function stepIn(line: string): string | null {
  return step.exec(line)?.[1]?.trim() ?? null;
}

export function stepsOf({ text }: ApprovedPlan): string[] {
  return text.split("\n").flatMap((line) => stepIn(line) ?? []);
}

const wholePlan =
  /(?<!\p{L})(?:(?:all|every|each|both|whole|entire|complete(?:ly)?|fully|alle|ganze)(?!\p{L}).{0,60}(?<!\p{L})plan|plan(?!\p{L}).{0,40}(?:done|finished|completed?|implemented|carried out|executed|abgearbeitet|umgesetzt|fertig))(?!\p{L})/iu;
const partOfPlan = /(?<!\p{L})(?:half|part|most|almost|nearly|first|\d+ of|(?:step|point|phase|part) \d+)(?!\p{L})/iu;

/** [CP65] Notes the steps that the chat reports as done, or the whole plan. */
export function planAfterWords(plan: ApprovedPlan, message: string, at: number): ApprovedPlan {
  const { done, doneSteps = [] } = plan;
  if (done) return plan;
  const reported = stepsOf(plan).filter((one) => !doneSteps.includes(one) && findCompletion(one, message) !== null);
  const whole = sentences(message).find((one) => wholePlan.test(one) && !partOfPlan.test(one) && isSuccess(one));
  return {
    ...plan,
    ...(reported.length > 0 ? { doneSteps: [...doneSteps, ...reported] } : {}),
    ...(whole === undefined ? {} : { done: { text: whole, at } }),
  };
}
