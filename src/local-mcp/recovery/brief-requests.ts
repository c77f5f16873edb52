import { defaults } from "../../contract/config.ts";
import type { Statement, UserRequest, WorkState } from "../../contract/work-state.ts";
import {
  goalOf,
  possiblyOpenGoal,
  requestsBetween,
  rulesOf,
  takenBackBy,
  type SourcedText,
} from "../sessions/current-work.ts";
import { goalReached } from "../sessions/goal-state.ts";
import { lastGoalRequest } from "../sessions/requests.ts";
import {
  annotateOutdated,
  formatSource,
  formatSourced,
  formatWhen,
  newestLast,
  oneLine,
  rankedLines,
  type BriefLine,
  type BriefSection,
} from "./brief-text.ts";
import type { Restoration } from "./restoration.ts";

/** Pure: the user's words. */

const maxChars = { goal: 500, request: 240, line: 220 };
/** Newest requests that are shown also where they carry nothing. */
const maxRecent = 5;
const maxInherited = 8;

export function goalSections(from: Restoration, now: number): BriefSection[] {
  const { state } = from;
  const { requests = [] } = state;
  const goal = goalOf(state);
  const possiblyOpen = possiblyOpenGoal(state) ?? undefined;
  const others = [requests[0], requests.at(-1)].filter(
    (one) => one !== undefined && one.text !== goal?.text && one !== possiblyOpen,
  );
  const last = others.find((one) => one === requests.at(-1));
  const first = others.find((one) => one !== last);
  const requestLine = (
    rank: BriefLine["rank"],
    name: string,
    one: UserRequest | undefined,
    width: number,
  ): BriefLine[] =>
    one
      ? [{ rank, text: `${name}: ${annotateOutdated(state, one, width)}${formatWhen(now, one.at)}`, shows: one.text }]
      : [];
  return [
    {
      lines: [
        goal
          ? {
              rank: 0,
              text: `goal: ${formatSourced(state, goal, now, maxChars.goal)}${goalReachedNote(state, goal)}`,
              shows: goal.text,
            }
          : { rank: 0, text: "goal: not known" },
        ...requestLine(1, "request that is perhaps still open", possiblyOpen, maxChars.request),
        ...requestLine(1, "last request", last, maxChars.goal),
        ...requestLine(2, "first request", first, maxChars.request),
        ...rankedLines(1, predecessorLines(state)),
      ],
    },
    ...requestSections(state, now, [goal?.text, first?.text, last?.text, possiblyOpen?.text]),
    ...ruleSections(from, now),
  ];
}

function predecessorLines({ continues }: WorkState): string[] {
  if (!continues) return [];
  const { session, goal, nextStep } = continues;
  const next = nextStep === null ? "" : `; next step: ${oneLine(nextStep, maxChars.line)}`;
  return [
    `before it: session ${session} had died and was handed to it; goal: ${oneLine(goal ?? "not known", maxChars.line)}${next}`,
  ];
}

function goalReachedNote(state: WorkState, goal: SourcedText): string {
  const words = goal.at === null ? null : goalReached(state, goal);
  return words === null ? "" : ` [said to be done: ${oneLine(words, 100)}]`;
}

/** Requests after the goal may change it; earlier ones are done or part of it. */
function requestSections(state: WorkState, now: number, shown: readonly (string | undefined)[]): BriefSection[] {
  const all = requestsBetween(state, shown);
  const since = lastGoalRequest(state.requests ?? [])?.at ?? 0;
  const [later, older] = [all.filter(({ at }) => (at ?? 0) > since), all.filter(({ at }) => (at ?? 0) <= since)];
  const toLines = (requests: readonly UserRequest[]): BriefLine[] =>
    requests.flatMap((one, index) => {
      const isRecent = index >= requests.length - maxRecent;
      const text = `- ${annotateOutdated(state, one, maxChars.request)}${formatWhen(now, one.at)}`;
      return isRecent || one.isKept ? [{ rank: isRecent ? 2 : 3, text, shows: one.text } as const] : [];
    });
  const thinned = (state.thinned?.kept ?? 0) + (state.thinned?.plain ?? 0);
  return [
    countedLines("requests in between, newest last", toLines(older), older.length + thinned),
    countedLines("later requests, newest last", toLines(later), later.length),
  ];
}

function countedLines(heading: string, lines: readonly BriefLine[], all: number): BriefSection {
  const withCount = (shown: number): string => `${heading}${all > shown ? ` (${all - shown} more left out)` : ""}:`;
  return newestLast(withCount, lines);
}

function ruleSections({ state, capacity = defaults.brief }: Restoration, now: number): BriefSection[] {
  const { orders, decided } = rulesOf(state);
  const toLine = (one: Statement): BriefLine => {
    const takenBack = takenBackBy(state, one);
    const changed = takenBack ? ` (before: ${oneLine(takenBack.text, 80)})` : "";
    const later = one.followedBy ? `; said later: ${oneLine(one.followedBy.text, 120)}` : "";
    const source = one.source === "user" ? "" : `${one.source}, `;
    const text = `- ${oneLine(one.text, maxChars.line)}${changed}${later}${formatSource(source, now, one.at)}`;
    return { rank: 1, text, shows: one.text };
  };
  const inherited = (state.continues?.orders ?? [])
    .filter((text) => !orders.some((one) => one.text === text))
    .slice(-maxInherited);
  const missing = state.missing ? [`- ${state.missing} older rules or decisions had no room`] : [];
  const inheritedLines = inherited.map((text) => `- ${oneLine(text, maxChars.line)} (in the session before)`);
  return [
    countedLines(
      "standing orders of the user",
      [...rankedLines(1, inheritedLines), ...orders.slice(-capacity.orders).map(toLine)],
      inherited.length + orders.length,
    ),
    newestLast("decisions:", [...decided.slice(-capacity.decided).map(toLine), ...rankedLines(1, missing)]),
  ];
}
