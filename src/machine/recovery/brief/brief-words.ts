import type { Remark, WorkState } from "../../../contract/work-state.ts";
import { bothEnds, tail } from "../../text/excerpt.ts";
import { neutralize } from "../../text/neutralize.ts";
import { formatAgo } from "./brief-text.ts";
import {
  headed,
  worth,
  type BriefContext,
  type BriefLine,
  type Growth,
  standingOf,
  type Standing,
} from "./brief-quotes.ts";
import type { Restoration } from "../incomplete/restoration.ts";

/** Pure: what a brief quotes of the chat. */

/** Words at first; more of them goes in by its worth. */
const chars = { last: 1_000, other: 300 };
const counts = { inTurn: 3, earlier: 2 };

/** Without them the prompt that follows may mean nothing; a short one lets them be carried out. */
export function earlierWordsLines({ state }: Restoration, { now, scale }: BriefContext): BriefLine[] {
  const { earlierWords, words, prompts } = state;
  const newest = earlierWords.at(-1);
  const isOver = standingOf(state) === "waiting";
  const others = earlierWords.filter(({ at }) => at !== words.at(-1)?.at).slice(-counts.earlier);
  const lines = others.map((one): BriefLine => {
    const isNewest = one === newest;
    const isAnswered = prompts.find(({ at }) => at >= one.at)?.answers !== undefined;
    const isNeeded = isNewest && prompts.at(-1)?.answers !== undefined;
    const worthOf = isAnswered && !isOver ? worth.approved : worth.words;
    const rank = isNeeded ? 0 : isNewest ? 1 : 5;
    return Object.assign(quotation(one, now, Math.floor(chars.other * scale), worthOf), { rank });
  });
  return headed("the chat's last words before the newest prompts:", lines);
}

/** The chat's last words; in mid-turn also the first ones, and those before the last. */
export function wordsLines({ state }: Restoration, { now, scale }: BriefContext): BriefLine[] {
  const last = state.words.at(-1);
  if (!last) return [];
  const { first, before } = wordsOfOpenTurn(state, last);
  // Since the newest prompt the chat may have made calls without a word.
  const isNext = standingOf(state) === "waiting" || (state.prompts.at(-1)?.at ?? 0) >= last.at;
  const own = quotation(last, now, Math.floor(chars.last * scale), isNext ? worth.approved : worth.words);
  return headed("the chat's last words:", [
    ...first.map((one) => ({ text: quotedAt(one, now, bothEnds(neutralize(one.text), chars.other)), rank: 2 })),
    ...before.map((one) => ({ text: quotedAt(one, now, tail(neutralize(one.text), chars.other)), rank: 2 })),
    { ...own, rank: 0 },
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

/** At first both its ends. */
function quotation(
  remark: Remark,
  now: number,
  max: number,
  worthOf: Omit<Growth, "text">,
): { readonly text: string; readonly growths: readonly Growth[] } {
  const text = (most: number): string => quotedAt(remark, now, bothEnds(neutralize(remark.text), most));
  return { text: text(max), growths: [{ ...worthOf, text }] };
}

function quotedAt({ at }: Remark, now: number, text: string): string {
  return `- ${formatAgo(now, at)}: ${text}`;
}
