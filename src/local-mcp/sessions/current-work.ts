import type { ApprovedPlan, Statement, UserRequest, WorkState } from "../../contract/work-state.ts";
import { stepsOf } from "./approved-plan.ts";
import { goalReached, goalRequestBefore } from "./goal-state.ts";
import { lastGoalRequest } from "./requests.ts";
import { isSlashCommand } from "./slash-command.ts";
import { outdatedBy } from "./statements.ts";
import { contentWords, isAboutTheSame } from "../words/sentences.ts";

export interface SourcedText {
  readonly text: string;
  readonly source: string;
  readonly at: number | null;
}

/** Pure. [CP8] The last request that sets a goal, unless the chat or `/goal` named one later. */
export function goalOf(state: WorkState): SourcedText | null {
  const request = lastGoalRequest(state.requests ?? []);
  const given = [statedGoal(state), conditionGiven(state)].filter((one) => one !== null);
  const goal = given.toSorted((one, other) => (other.at ?? 0) - (one.at ?? 0))[0];
  if (goal && (goal.at ?? 0) >= (request?.at ?? 0)) return goal;
  return request ? { text: request.text, source: "the user", at: request.at } : inheritedGoal(state);
}

function statedGoal({ goal, said }: WorkState): SourcedText | null {
  return goal === null ? null : { text: goal, source: "the chat", at: said?.goal ?? null };
}

function conditionGiven({ clientGoal }: WorkState): SourcedText | null {
  return clientGoal ? { text: clientGoal.text, source: "/goal", at: clientGoal.at } : null;
}

function inheritedGoal({ continues, conversation }: WorkState): SourcedText | null {
  if (continues?.goal) return { text: continues.goal, source: "the session before", at: null };
  const spoken = conversation.findLast(({ role, text }) => role === "user" && !isSlashCommand(text));
  return spoken ? { text: spoken.text, source: "the user", at: spoken.at } : null;
}

export interface Rules {
  readonly orders: readonly Statement[];
  readonly decided: readonly Statement[];
}

/** [CP23] Replaces what was retracted by what retracted it. */
export function rulesOf(state: WorkState): Rules {
  const isCurrent = (one: Statement): boolean => !one.takenBack && outdatedBy(state, one.text, one.at) === null;
  return { orders: (state.orders ?? []).filter(isCurrent), decided: (state.decided ?? []).filter(isCurrent) };
}

/** Returns null where the statement's own words say it. */
export function takenBackBy(state: WorkState, { text }: Statement): Statement | null {
  if (contentWords(text).size > 3) return null;
  return [...(state.orders ?? []), ...(state.decided ?? [])].find((one) => one.takenBack?.text === text) ?? null;
}

export function nextStepOf(state: WorkState): SourcedText | null {
  return nextStepCandidates(state).find(({ text }) => !isDone(state, text)) ?? null;
}

function nextStepCandidates(state: WorkState): SourcedText[] {
  const { said = {}, inProgress } = state;
  const since = lastGoalRequest(state.requests ?? [])?.at ?? 0;
  const fresh = (all: readonly SourcedText[]): SourcedText[] => all.filter(({ at }) => at === null || at >= since);
  const stepsInProgress = toSourcedTexts(todoTexts(state, "in_progress"), "the task in progress", said.todos);
  const pendingSteps = toSourcedTexts(todoTexts(state, "pending"), "the task list", said.todos);
  return [
    ...announcedSteps(state),
    ...fresh(stepsInProgress),
    ...fresh(toSourcedTexts(inProgress, "the chat, in progress", said.inProgress)),
    ...fresh(agreedSteps(state)),
    ...fresh(pendingSteps),
    ...unansweredRequests(state),
    ...stepsInProgress,
    ...pendingSteps,
  ];
}

function announcedSteps({ nextStep, said = {} }: WorkState): SourcedText[] {
  const source = said.isBegun ? "the chat, begun since" : "the chat";
  return toSourcedTexts(nextStep === null ? [] : [nextStep], source, said.nextStep);
}

function agreedSteps(state: WorkState): SourcedText[] {
  const { plan, clientGoal } = state;
  return [
    ...toSourcedTexts(
      plan && !isPlanDone(state, plan) ? ["carry on with the approved plan"] : [],
      "the plan",
      plan?.at,
    ),
    ...toSourcedTexts(clientGoal ? [clientGoal.text] : [], "/goal", clientGoal?.at),
  ];
}

function toSourcedTexts(texts: readonly string[], source: string, at: number | undefined): SourcedText[] {
  return texts.map((text) => ({ text, source, at: at ?? null }));
}

function unansweredRequests({ requests = [], said }: WorkState): SourcedText[] {
  const last = requests.at(-1);
  const isOpen = last !== undefined && (last.at ?? 0) > (said?.turnEnd ?? -1);
  return isOpen ? [{ text: last.text, source: "the user's last request, its turn had not ended", at: last.at }] : [];
}

export function isDone(state: WorkState, step: string): boolean {
  return [...state.done, ...todoTexts(state, "completed")].some((done) => isAboutTheSame(step, done, 0.75));
}

export function isStepOfPlanDone(state: WorkState, { doneSteps = [] }: ApprovedPlan, step: string): boolean {
  return doneSteps.includes(step) || isDone(state, step);
}

/** [CP65] */
export function isPlanDone(state: WorkState, plan: ApprovedPlan): boolean {
  const steps = stepsOf(plan);
  return plan.done !== undefined || (steps.length > 0 && steps.every((step) => isStepOfPlanDone(state, plan, step)));
}

export function todoTexts({ todos }: WorkState, status: WorkState["todos"][number]["status"]): string[] {
  return todos.filter((todo) => todo.status === status).map((todo) => todo.text);
}

/** [CP38] Requires that all the chat has said since is known and nothing says that it is done. */
export function possiblyOpenGoal(state: WorkState): UserRequest | null {
  const { requests = [], conversation } = state;
  const previousGoal = goalRequestBefore(requests);
  const isConversationWhole = previousGoal !== null && (conversation[0]?.at ?? Infinity) <= (previousGoal.at ?? 0);
  return isConversationWhole && goalReached(state, previousGoal) === null ? previousGoal : null;
}

export function requestsBetween(state: WorkState, shown: readonly (string | undefined)[]): UserRequest[] {
  const { orders, decided } = rulesOf(state);
  const shownTexts = new Set([...shown, ...[...orders, ...decided].map(({ text }) => text)]);
  return (state.requests ?? []).filter(
    ({ text, kind }) => kind !== "rule" && kind !== "answer" && !shownTexts.has(text),
  );
}
