import type { Remark, WorkState } from "../../../contract/work-state.ts";
import { bothEnds, tail } from "../../text/excerpt.ts";
import { neutralize } from "../../text/neutralize.ts";
import { formatAgo } from "./brief-text.ts";
import { headed, roomFor, type BriefContext, type BriefLine } from "./brief-quotes.ts";
import type { Restoration } from "../incomplete/restoration.ts";
import { standingOf, type Standing } from "./standing.ts";

/** Pure: what a brief quotes of the chat. */

const chars = {
  words: { most: 2_500, least: 1_000 },
  before: 300,
  first: 300,
  /** Before the newest prompt, by whether it has a long answer; and before an older one. */
  earlier: { open: 600, answered: 300, older: 300 },
  longAnswer: 600,
};
const counts = { inTurn: 3, earlier: 2 };

/** The prompt that follows them may mean nothing without them. */
export function earlierWordsLines({ state }: Restoration, { now, scale }: BriefContext): BriefLine[] {
  const { earlierWords, words, prompts } = state;
  const newest = earlierWords.at(-1);
  const isNeeded = prompts.at(-1)?.answers !== undefined;
  const recent = hasLongAnswer(state) ? chars.earlier.answered : chars.earlier.open;
  const others = earlierWords.filter(({ at }) => at !== words.at(-1)?.at).slice(-counts.earlier);
  const lines = others.map((one) => {
    const isNewest = one === newest;
    const most = Math.floor((isNewest ? recent : chars.earlier.older) * scale);
    return { text: quotation(one, now, bothEnds(neutralize(one.text), most)), rank: isNewest ? (isNeeded ? 0 : 1) : 5 };
  });
  return headed("the chat's last words before the newest prompts:", lines);
}

function hasLongAnswer(state: WorkState): boolean {
  const last = state.words.at(-1);
  return standingOf(state) === "waiting" && (last?.text.length ?? 0) >= chars.longAnswer;
}

/** The chat's last words; in mid-turn also the first ones, and those before the last. */
export function wordsLines({ state }: Restoration, context: BriefContext): BriefLine[] {
  const { now, scale } = context;
  const last = state.words.at(-1);
  if (!last) return [];
  const { first, before } = wordsOfOpenTurn(state, last);
  const most = Math.floor(roomFor(chars.words, context) * scale);
  return headed("the chat's last words:", [
    ...first.map((one) => ({ text: quotation(one, now, bothEnds(neutralize(one.text), chars.first)), rank: 2 })),
    ...before.map((one) => ({ text: quotation(one, now, tail(neutralize(one.text), chars.before)), rank: 2 })),
    { text: quotation(last, now, bothEnds(neutralize(last.text), most)), rank: 0 },
  ]);
}

interface WordsOfTurn {
  readonly first: readonly Remark[];
  /** Those right before the last ones. */
  readonly before: readonly Remark[];
}

const openStandings: ReadonlySet<Standing> = new Set<Standing>(["running", "working", "interrupted"]);

function wordsOfOpenTurn(state: WorkState, last: Remark): WordsOfTurn {
  if (!openStandings.has(standingOf(state))) return { first: [], before: [] };
  const since = state.prompts.at(-1)?.at ?? 0;
  const inTurn = state.words.slice(0, -1).filter(({ at }) => at >= since);
  const before = inTurn.slice(-counts.inTurn);
  const oldest = before[0]?.at ?? last.at;
  return { first: state.firstWords.filter(({ at }) => at < oldest), before };
}

function quotation({ at }: Remark, now: number, text: string): string {
  return `- ${formatAgo(now, at)}: ${text}`;
}
