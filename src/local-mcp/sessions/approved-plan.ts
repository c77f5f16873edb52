import type { ApprovedPlan } from "../../contract/work-state.ts";
import { findCompletion, isPartial, isSuccess } from "../words/completion.ts";
import { LazyRegExp } from "../words/pattern.ts";
import { sentences } from "../words/sentences.ts";

/** Pure. */

const step = /^\s*(?:[-*•+]|\d+[.)])\s+(?:\[[ x]\]\s*)?(?=\S)(?=.*\p{L})(.*)$/iu;

export function stepIn(line: string): string | null {
  return step.exec(line)?.[1]?.trim() ?? null;
}

export function stepsOf({ text }: ApprovedPlan): string[] {
  return text.split("\n").flatMap((line) => stepIn(line) ?? []);
}

const done = String.raw`(?:done|finished|completed?|implemented|carried out|executed|worked through|abgearbeitet|umgesetzt|fertig)(?!\p{L})`;
const all = String.raw`(?<!\p{L})(?:all|every|each|everything|both|whole|entire|full|alle|ganze)(?!\p{L})`;
const wholePlan = new LazyRegExp(
  [
    String.raw`(?<!\p{L})plan(?: (?:is|was|has|have|are|been|now|all|fully|completely|ist|wurde|komplett|vollständig))* ${done}`,
    String.raw`(?<!\p{L})${done} (?:\p{L}+ ){0,3}?${all}.{0,40}(?<!\p{L})plan(?!\p{L})`,
    String.raw`${all}(?: \p{L}+){0,4} plan(?: \p{L}+){0,3} ${done}`,
  ].join("|"),
  "iu",
);

/** [CP65] Notes the steps that the chat reports as done, or the whole plan. */
export function planAfterWords(plan: ApprovedPlan, message: string, at: number): ApprovedPlan {
  const { doneSteps = [] } = plan;
  if (plan.done) return plan;
  const reported = stepsOf(plan).filter((one) => !doneSteps.includes(one) && findCompletion(one, message) !== null);
  const whole = sentences(message).find((one) => wholePlan.test(one) && !isPartial(one) && isSuccess(one));
  return {
    ...plan,
    ...(reported.length > 0 ? { doneSteps: [...doneSteps, ...reported] } : {}),
    ...(whole === undefined ? {} : { done: { text: whole, at } }),
  };
}
