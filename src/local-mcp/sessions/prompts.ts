import type { Remark, UserPrompt, WorkState } from "../../contract/work-state.ts";
import { bothEnds, excerpt, isNod, tail } from "../text/excerpt.ts";
import { cutChars } from "./both-ends.ts";

/** Pure: the prompts that a state keeps. */

/** A prompt below it may mean nothing without what it answers. */
const maxAnswerChars = 60;
const answeredChars = 200;

/** Characters kept: of a prompt that is neither the first nor among the newest, and of all. */
const limits = { older: 1_000, all: 60_000 };
const counts = { recent: 6, all: 300, earlierWords: 3 };
/** Characters kept of the chat's words that a later prompt or text has followed. */
export const quoted = { earlier: 600, first: 300 };

/** Adds a prompt in the order of its time: a queued one may be read after later ones. */
export function withPrompt(state: WorkState, at: number, text: string): WorkState {
  const before = state.words.findLast((one) => one.at <= at);
  const isFirstSince = state.prompts.every((one) => one.at <= (before?.at ?? at) || one.at > at);
  const isAnswer = text.trim().length < maxAnswerChars && before !== undefined && isFirstSince;
  const prompt: UserPrompt = {
    text,
    at,
    ...charsOf(text),
    ...(isAnswer ? { answers: tail(before.text, answeredChars) } : {}),
  };
  const position = state.prompts.findLastIndex((one) => one.at <= at) + 1;
  const isNewest = position === state.prompts.length;
  const earlier = isNewest && isFirstSince && before ? [shortenedWords(before)] : [];
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

function shortenedWords({ text, at }: Remark): Remark {
  return { text: bothEnds(text, quoted.earlier), at };
}

function charsOf(text: string): { chars?: number } {
  const cut = cutChars(text);
  return cut === null ? {} : { chars: text.length + cut };
}

function isRecent(index: number, count: number): boolean {
  return index === 0 || index >= count - counts.recent;
}

export function shortened(prompt: UserPrompt, max = limits.older): UserPrompt {
  const { text, chars = text.length } = prompt;
  return text.length <= max ? prompt : { ...prompt, text: excerpt(text, max), chars };
}

/** Drops the oldest nods first, then the oldest prompts after the first one. */
function fitted(all: readonly UserPrompt[]): readonly UserPrompt[] {
  let prompts = all;
  let chars = prompts.reduce((sum, { text }) => sum + text.length, 0);
  while (prompts.length > counts.all || (chars > limits.all && prompts.length > counts.recent + 1)) {
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
