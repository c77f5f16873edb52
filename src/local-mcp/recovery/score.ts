import { defaults, type Config } from "../../contract/config.ts";
import type { Statement, UserRequest, WorkState } from "../../contract/work-state.ts";
import type { Checkpoint } from "../checkpoints/checkpoints.ts";
import type { GitHead } from "../sessions/git-head.ts";
import { outdatedBy } from "../sessions/statements.ts";
import { upgradeState } from "../sessions/work-state.ts";
import type { FileComparison } from "../../snapshots/file-state.ts";
import {
  goalOf,
  isDone,
  nextStepOf,
  possiblyOpenGoal,
  requestsBetween,
  rulesOf,
  type SourcedText,
  type Rules,
} from "../sessions/current-work.ts";

export interface ScoreItem {
  readonly name: string;
  /** Share that is present or verified, 0 to 1. */
  readonly share: number;
}

export interface ScorePart {
  readonly name: "recall" | "artifacts" | "continuation" | "decisions";
  readonly share: number;
  readonly weight: number;
  readonly items: readonly ScoreItem[];
  readonly falseClaim: string | null;
}

/** Score of 0 to 100: a measure of what is known and verified, never a promise. */
export interface RestoreScore {
  readonly total: number;
  readonly parts: readonly ScorePart[];
}

export interface ScoredFile {
  readonly now: FileComparison;
  readonly path?: string;
  readonly action?: string;
  readonly isCommitted?: true;
}

export interface Restorable {
  readonly state: WorkState;
  readonly files: readonly ScoredFile[];
  readonly head: GitHead | null;
  readonly checkpoint: Checkpoint | null;
  /** Orders and decisions that its brief shows; absent: the default. */
  readonly capacity?: Config["brief"];
  /** Words that its brief shows; absent: all that it may show. */
  readonly shown?: ReadonlySet<string>;
}

export interface Claims {
  readonly next: SourcedText | null;
  readonly rules: Rules;
}

const maxFalseClaimScore = 50;

/** [RE76] [RE30] A probe that does not apply is left out, and the others weigh more. */
export function score(given: Restorable, claims: Claims = claimsOf(upgradeState(given.state))): RestoreScore {
  const current = { ...given, state: upgradeState(given.state) };
  const parts = [
    recallPart(current, claims),
    artifactsPart(current),
    continuationPart(current.state, claims),
    decisionsPart(current, claims),
  ];
  const applicableParts = parts.filter((part) => part !== null);
  const weight = applicableParts.reduce((sum, part) => sum + part.weight, 0);
  const earned = applicableParts.reduce((sum, part) => sum + part.weight * part.share, 0);
  const total = weight === 0 ? 0 : Math.round((100 * earned) / weight);
  const isFalse = applicableParts.some((part) => part.falseClaim !== null);
  return { total: isFalse ? Math.min(maxFalseClaimScore, total) : total, parts: applicableParts };
}

export function claimsOf(state: WorkState): Claims {
  return { next: nextStepOf(state), rules: rulesOf(state) };
}

interface WeightedItem extends ScoreItem {
  readonly weight: number;
}

function toScorePart(
  name: ScorePart["name"],
  weight: number,
  items: readonly WeightedItem[],
  falseClaim: string | null = null,
): ScorePart | null {
  if (items.length === 0) return null;
  const all = items.reduce((sum, item) => sum + item.weight, 0);
  const share = items.reduce((sum, item) => sum + item.weight * item.share, 0) / all;
  const shown = items.map((item) => ({ name: item.name, share: item.share }));
  return { name, weight, share: falseClaim === null ? share : 0, items: shown, falseClaim };
}

function recallPart({ state, shown, capacity = defaults.brief }: Restorable, { rules }: Claims): ScorePart | null {
  const { orders } = rules;
  const shownOrders = countShown(orders, shown, capacity.orders);
  const speakers = new Set(state.conversation.map(({ role }) => role));
  return toScorePart("recall", 30, [
    { ...goalItem(state), weight: 4 },
    { ...requestsItem(state, rules, shown), weight: 3 },
    { name: "the end of the conversation", weight: 2, share: speakers.size / 2 },
    ...shownItems("standing orders", orders.length, shownOrders),
  ]);
}

/** A request that carries nothing weighs a quarter. */
function requestsItem(state: WorkState, rules: Rules, shown: Restorable["shown"]): ScoreItem {
  const { requests = [], thinned = { plain: 0, kept: 0 } } = state;
  const thinnedWeight = thinned.kept + thinned.plain / 4;
  const cut = requests.filter(({ text }) => text.includes(" … ")).length;
  const hidden = shown ? hiddenRequests(state, rules, shown) : [];
  const hiddenWeight = hidden.reduce((sum, { isKept }) => sum + (isKept ? 1 : 1 / 4), 0);
  const notes = [
    ...(thinnedWeight > 0 ? [", some thinned out"] : []),
    ...(cut > 0 ? [`, ${cut} shortened`] : []),
    ...(hidden.length > 0 ? [`, ${hidden.length} not shown`] : []),
  ];
  const present = requests.length - cut / 2 - hiddenWeight;
  return {
    name: `${requests.length} requests of the user${notes.join("")}`,
    share: requests.length === 0 ? 0 : Math.max(0, present) / (requests.length + thinnedWeight),
  };
}

/** Rules and answers are shown as orders and decisions. */
function hiddenRequests(state: WorkState, { orders, decided }: Rules, shown: ReadonlySet<string>): UserRequest[] {
  const ruleTexts = new Set([...orders, ...decided].map(({ text }) => text));
  return requestsBetween(state, []).filter(({ text }) => !shown.has(text) && !ruleTexts.has(text));
}

function goalItem(state: WorkState): ScoreItem {
  const goal = goalOf(state);
  if (goal === null) return { name: "the goal", share: 0 };
  if (goal.source === "the session before") return { name: "the goal", share: 0.5 };
  return possiblyOpenGoal(state)
    ? { name: "the goal, the one before perhaps open", share: 0.75 }
    : { name: "the goal", share: 1 };
}

function artifactsPart({ state, files, head }: Restorable): ScorePart | null {
  const ownFiles = files.filter((file) => file.action !== "read" && !file.isCommitted);
  const asLeft = ownFiles.filter(({ now }) => now === "same" || now === "deleted").length;
  const unknown = ownFiles.filter(({ now }) => now === "unknown").length;
  // A file that was only named may never have been there.
  const deleted = ownFiles.filter(({ now, action }) => now === "deleted" && action !== "noted").length;
  const notes = `${deleted > 0 ? `, ${deleted} of them deleted` : ""}${unknown > 0 ? `, ${unknown} not verified` : ""}`;
  const filesText = `${asLeft} of ${ownFiles.length} files as the chat left them${notes}`;
  return toScorePart(
    "artifacts",
    25,
    [
      ...(ownFiles.length > 0 ? [{ name: filesText, weight: 3, share: asLeft / ownFiles.length }] : []),
      ...branchItem(state.git, head),
    ],
    contradiction(files),
  );
}

function branchItem(then: WorkState["git"], head: GitHead | null): WeightedItem[] {
  if (!then) return [];
  const isSame = then.branch === head?.branch;
  if (isSame && then.commit === null) return [];
  const share = then.commit === head?.commit ? 1 : 0.5;
  return [{ name: "branch and commit", weight: 1, share: isSame ? share : 0 }];
}

function contradiction(files: readonly ScoredFile[]): string | null {
  const same = new Set(files.flatMap(({ now, path }) => (now === "same" && path !== undefined ? [path] : [])));
  const other = files.find(
    ({ now, path }) => path !== undefined && same.has(path) && (now === "changed" || now === "missing"),
  );
  return other ? `unchanged, and ${other.now}: ${other.path}` : null;
}

function continuationPart(state: WorkState, { next }: Claims): ScorePart | null {
  const falseClaim = next && isDone(state, next.text) ? `a next step that is done: ${next.text}` : null;
  const share = next === null ? 0 : next.source.startsWith("the user's") || next.source === "the plan" ? 0.5 : 1;
  const name = next === null ? "no next step is known" : `next step from ${next.source}`;
  return toScorePart("continuation", 25, [{ name, weight: 1, share }], falseClaim);
}

function decisionsPart({ state, shown, capacity = defaults.brief }: Restorable, { rules }: Claims): ScorePart | null {
  const falseClaim = staleRule(state, rules);
  const { missing = 0, requests = [] } = state;
  const count = rules.decided.length;
  if (count === 0 && missing === 0 && !falseClaim) {
    // A long session has settled something.
    return requests.length > 5
      ? toScorePart("decisions", 20, [{ name: "no decision is known", weight: 1, share: 0.5 }])
      : null;
  }
  const kept = { name: `${count} decisions`, weight: 2, share: count === 0 ? 0 : count / (count + missing) };
  const shownCount = countShown(rules.decided, shown, capacity.decided);
  return toScorePart("decisions", 20, [kept, ...shownItems("shown", count, shownCount)], falseClaim);
}

function staleRule(state: WorkState, { decided, orders }: Rules): string | null {
  const stale = [...decided, ...orders].find(
    (one) => one.takenBack !== undefined || outdatedBy(state, one.text, one.at) !== null,
  );
  return stale ? `taken back, and stated as current: ${stale.text}` : null;
}

function countShown(all: readonly Statement[], shown: Restorable["shown"], most: number): number {
  return shown ? all.filter(({ text }) => shown.has(text)).length : Math.min(all.length, most);
}

function shownItems(name: string, count: number, shown: number): WeightedItem[] {
  return count === 0 ? [] : [{ name: `${shown} of ${count} ${name}`, weight: 1, share: shown / count }];
}
