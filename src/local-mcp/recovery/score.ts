import type { WorkState } from "../../contract/work-state.ts";
import type { Checkpoint } from "../checkpoints/checkpoints.ts";
import type { GitHead } from "../sessions/git-head.ts";
import { isOutdated } from "../sessions/statements.ts";
import { upToDate } from "../sessions/work-state.ts";
import type { FileComparison } from "../snapshots/file-state.ts";
import { goalOf, isDone, nextStepOf, perhapsOpen, rulesOf, type Known, type Rules } from "./current-work.ts";

/** One thing that a probe looks at. */
export interface ScoreItem {
  readonly name: string;
  /** Share of it that is there or verified, 0 to 1. */
  readonly share: number;
}

export interface ScorePart {
  readonly name: "recall" | "artifacts" | "continuation" | "decisions";
  readonly share: number;
  readonly weight: number;
  readonly items: readonly ScoreItem[];
  /** What the brief would say that is not so; null: nothing. */
  readonly falseClaim: string | null;
}

/** How much of the session can be handed on, 0 to 100, with its parts: a measure of what is known and verified, never a promise. */
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
}

/** What a brief says is so. */
export interface Claims {
  readonly next: Known | null;
  readonly rules: Rules;
}

/** Orders and decisions that a brief has room for, and the score that one with a false claim has at most. */
export const room = { orders: 20, decided: 14 };
const capped = 50;

/**
 * [RE6] Four probes: recall 30, artifacts 25, continuation 25, decisions 20. One that does not apply is left out, and the rest weighs more. [RE30] A
 * false claim makes its probe zero and the total 50 at most.
 */
export function score(given: Restorable, claims: Claims = claimsOf(upToDate(given.state))): RestoreScore {
  const known = { ...given, state: upToDate(given.state) };
  const parts = [
    recall(known.state, claims),
    artifacts(known),
    continuation(known.state, claims),
    decisions(known.state, claims),
  ];
  const counted = parts.filter((part) => part !== null);
  const weight = counted.reduce((sum, part) => sum + part.weight, 0);
  const reached = counted.reduce((sum, part) => sum + part.weight * part.share, 0);
  const total = weight === 0 ? 0 : Math.round((100 * reached) / weight);
  const isFalse = counted.some((part) => part.falseClaim !== null);
  return { total: isFalse ? Math.min(capped, total) : total, parts: counted };
}

export function claimsOf(state: WorkState): Claims {
  return { next: nextStepOf(state), rules: rulesOf(state) };
}

interface Weighed extends ScoreItem {
  readonly weight: number;
}

function part(
  name: ScorePart["name"],
  weight: number,
  items: readonly Weighed[],
  falseClaim: string | null = null,
): ScorePart | null {
  if (items.length === 0) return null;
  const all = items.reduce((sum, item) => sum + item.weight, 0);
  const share = items.reduce((sum, item) => sum + item.weight * item.share, 0) / all;
  const shown = items.map((item) => ({ name: item.name, share: item.share }));
  return { name, weight, share: falseClaim === null ? share : 0, items: shown, falseClaim };
}

function recall(state: WorkState, { rules }: Claims): ScorePart | null {
  const { requests = [], thinned = { plain: 0, kept: 0 }, conversation } = state;
  const gone = thinned.kept + thinned.plain / 4;
  const cut = requests.filter(({ text }) => text.includes(" … ")).length;
  const whole = requests.length === 0 ? 0 : (requests.length - cut / 2) / (requests.length + gone);
  const speakers = new Set(conversation.map(({ role }) => role));
  return part("recall", 30, [
    { ...goalItem(state), weight: 4 },
    {
      name: `${requests.length} requests of the user${gone > 0 ? ", some thinned out" : ""}${cut > 0 ? `, ${cut} shortened` : ""}`,
      weight: 3,
      share: whole,
    },
    { name: "the end of the conversation", weight: 2, share: speakers.size / 2 },
    ...fitting("standing orders", rules.orders.length, room.orders),
  ]);
}

function goalItem(state: WorkState): ScoreItem {
  const goal = goalOf(state);
  if (goal === null) return { name: "the goal", share: 0 };
  if (goal.source === "the session before") return { name: "the goal", share: 0.5 };
  return perhapsOpen(state)
    ? { name: "the goal, the one before perhaps open", share: 0.75 }
    : { name: "the goal", share: 1 };
}

function artifacts({ state, files, head }: Restorable): ScorePart | null {
  const own = files.filter((file) => file.action !== "read" && !file.isCommitted);
  const same = own.filter((file) => file.now === "same").length;
  const unknown = own.filter((file) => file.now === "unknown").length;
  const listed = `${same} of ${own.length} files as the chat left them${unknown > 0 ? `, ${unknown} not verified` : ""}`;
  return part(
    "artifacts",
    25,
    [
      ...(own.length > 0 ? [{ name: listed, weight: 3, share: same / own.length }] : []),
      ...branchItem(state.git, head),
    ],
    contradiction(files),
  );
}

function branchItem(then: WorkState["git"], head: GitHead | null): Weighed[] {
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

function continuation(state: WorkState, { next }: Claims): ScorePart | null {
  const falseClaim = next && isDone(state, next.text) ? `a next step that is done: ${next.text}` : null;
  const share = next === null ? 0 : next.source.startsWith("the user's") || next.source === "the plan" ? 0.5 : 1;
  const name = next === null ? "no next step is known" : `next step from ${next.source}`;
  return part("continuation", 25, [{ name, weight: 1, share }], falseClaim);
}

function decisions(state: WorkState, { rules }: Claims): ScorePart | null {
  const falseClaim = staleRule(state, rules);
  const { missing = 0, requests = [] } = state;
  const count = rules.decided.length;
  if (count === 0 && missing === 0 && !falseClaim) {
    // In a long session somebody has settled something.
    return requests.length > 5
      ? part("decisions", 20, [{ name: "no decision is known", weight: 1, share: 0.5 }])
      : null;
  }
  const kept = { name: `${count} decisions`, weight: 2, share: count === 0 ? 0 : count / (count + missing) };
  return part("decisions", 20, [kept, ...fitting("shown", count, room.decided)], falseClaim);
}

function staleRule(state: WorkState, { decided, orders }: Rules): string | null {
  const stale = [...decided, ...orders].find(
    (one) => one.takenBack !== undefined || isOutdated(state, one.text, one.at) !== null,
  );
  return stale ? `taken back, and stated as current: ${stale.text}` : null;
}

/** Of a list the part that a brief has room for. */
function fitting(name: string, count: number, most: number): Weighed[] {
  return count === 0
    ? []
    : [{ name: `${Math.min(count, most)} of ${count} ${name}`, weight: 1, share: Math.min(1, most / count) }];
}
