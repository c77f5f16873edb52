import type { Remark, UserPrompt, WorkState } from "../../contract/work-state.ts";
import { stored } from "../../contract/limits.ts";
import { wholeLength } from "../../shared/shorten.ts";
import { excerpt, isNod, tail } from "./text/excerpt.ts";

/** Pure: the prompts that a state keeps. */

/** A prompt below it may mean nothing without what it answers. */
const maxAnswerChars = 60;

const counts = { recent: 6, all: 300, earlierWords: 3 };

export type Said = Pick<UserPrompt, "text" | "from">;

/** Adds a prompt in the order of its time: a queued one may be read after later ones. */
export function withPrompt(state: WorkState, at: number, said: Said): WorkState {
  const { text } = said;
  const before = state.words.findLast((one) => one.at <= at);
  const isFirstSince = state.prompts.every((one) => one.at <= (before?.at ?? at) || one.at > at);
  const isAnswer = text.trim().length < maxAnswerChars && before !== undefined && isFirstSince;
  const prompt: UserPrompt = {
    ...said,
    at,
    ...charsOf(text),
    ...(isAnswer ? { answers: tail(before.text, stored.answered) } : {}),
  };
  const position = state.prompts.findLastIndex((one) => one.at <= at) + 1;
  const isNewest = position === state.prompts.length;
  // A prompt that was taken back may have followed the same words.
  const isKnown = state.earlierWords.at(-1)?.at === before?.at;
  const earlier = isNewest && isFirstSince && before && !isKnown ? [before] : [];
  const all = state.prompts.toSpliced(position, 0, prompt);
  const prompts = fitted(all.map((one, index) => (isRecent(index, all.length) ? one : shortened(one))));
  return {
    ...state,
    prompts,
    droppedPrompts: state.droppedPrompts + all.length - prompts.length,
    earlierWords: [...state.earlierWords, ...earlier].slice(-counts.earlierWords),
    firstWords: isNewest ? [] : state.firstWords,
  };
}

export function charsOf(text: string): { chars?: number } {
  const chars = wholeLength(text);
  return chars === text.length ? {} : { chars };
}

function isRecent(index: number, count: number): boolean {
  return index === 0 || index >= count - counts.recent;
}

export function shortened(prompt: UserPrompt, max = stored.olderPrompt): UserPrompt {
  const { text, chars = text.length } = prompt;
  return text.length <= max ? prompt : { ...prompt, text: excerpt(text, max), chars };
}

/** Drops the oldest nods first, then the oldest prompts after the first one. */
function fitted(all: readonly UserPrompt[]): readonly UserPrompt[] {
  let prompts = all;
  let chars = prompts.reduce((sum, { text }) => sum + text.length, 0);
  while (prompts.length > counts.all || (chars > stored.allPrompts && prompts.length > counts.recent + 1)) {
    const middle = prompts.slice(1, -counts.recent);
    const nod = middle.findIndex(({ text }) => isNod(text));
    const index = 1 + Math.max(0, nod);
    chars -= prompts[index]?.text.length ?? 0;
    prompts = prompts.toSpliced(index, 1);
  }
  return prompts;
}

/** Drops a share of the prompts between the first and the newest. */
export function withoutSomePrompts(state: WorkState): WorkState | null {
  const [first, ...rest] = state.prompts;
  if (!first || rest.length <= counts.recent) return null;
  const dropped = Math.min(Math.ceil(rest.length / 4), rest.length - counts.recent);
  return {
    ...state,
    prompts: [first, ...rest.slice(dropped)],
    droppedPrompts: state.droppedPrompts + dropped,
  };
}

export function firstPrompt({ prompts }: Pick<WorkState, "prompts">): string | null {
  return prompts[0]?.text ?? null;
}

/** The newest prompt that is more than a nod; else the newest. */
export function lastRequest({ prompts }: Pick<WorkState, "prompts">): Remark | null {
  return prompts.findLast(({ text }) => !isNod(text)) ?? prompts.at(-1) ?? null;
}
