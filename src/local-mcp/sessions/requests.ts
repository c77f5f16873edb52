import type { UserRequest, WorkState } from "../../contract/work-state.ts";
import { isAcknowledgement } from "../words/acknowledgement.ts";
import { isSpokenByRole, joinLines } from "../words/neutralize.ts";
import { isPastedLine } from "../words/pasted-text.ts";
import { isQuestion, sentences, withoutCode } from "../words/sentences.ts";
import { asksForWork, tellsProblem } from "../words/work-request.ts";
import { cutChars } from "./both-ends.ts";
import { carriesDetail, isGeneralRule, isTask, requestKind, type PromptContext } from "./request-kind.ts";
import { isSlashCommand, requestOfCommand } from "./slash-command.ts";

const limits = { gist: 500, whole: 320, first: 200, last: 120, introduction: 80, all: 32_000 };
/** [CP19] Requests kept; the first ones and the newest are never dropped. */
const counts = { plain: 60, all: 200, first: 3, newest: 30 };

export function isRequest(prompt: string): boolean {
  return prompt.trim() !== "" && !isSlashCommand(prompt) && !isAcknowledgement(prompt);
}

function gist(prompt: string): string {
  const cut = cutChars(prompt);
  return cut === null ? gistOfKept(prompt) : `${gistOfKept(prompt)} … [cut, ${cut} more characters]`;
}

function gistOfKept(prompt: string): string {
  const spoken = spokenIn(prompt);
  if (spoken === null) return shortened(sentences(prompt), joinLines(withoutCode(prompt)));
  const { own, introduction } = spoken;
  const pasted = introduction ? `pasted: ${introduction.slice(0, limits.introduction)}` : "pasted";
  return `${shortened(own, own.join(" "))} … [${pasted}]`;
}

const marks = / … \[(?:pasted|cut,)[^\]…]*\]/g;

/** The request's own words. */
export function withoutMarks(request: string): string {
  return request.replaceAll(marks, "");
}

function asksForSomething(sentence: string): boolean {
  return asksForWork(sentence) || tellsProblem(sentence) || isQuestion(sentence);
}

/** [CP64] Beside what was pasted, the sentences that ask are the request. */
function spokenIn(prompt: string): { own: string[]; introduction: string } | null {
  const lines = prompt.split("\n");
  const pastedAt = lines.findIndex((line) => line.startsWith("```") || isPastedLine(line) || isSpokenByRole(line));
  const all = pastedAt < 0 ? [] : sentences(prompt);
  const [first = "", ...rest] = all;
  if ((pastedAt > 0 && asksForSomething(first)) || !all.some(asksForSomething)) return null;
  const isIntroduction = /[:：]$/.test(first) && !asksForSomething(first);
  return { own: isIntroduction ? rest : all, introduction: isIntroduction ? first.slice(0, -1) : "" };
}

function shortened(all: readonly string[], plain: string): string {
  if (plain.length <= limits.whole) return plain;
  const [first = plain, last = ""] = [all[0], all.length > 1 ? all.at(-1) : ""];
  const keptSentences = new Set<string>();
  const between = all.slice(1, -1);
  let remainingChars = limits.gist - Math.min(first.length, limits.first) - Math.min(last.length, limits.last);
  for (const one of [isGeneralRule, asksForWork, isTask, carriesDetail].flatMap((isOne) => between.filter(isOne))) {
    if (keptSentences.has(one) || one.length > remainingChars) continue;
    keptSentences.add(one);
    remainingChars -= one.length + 1;
  }
  const betweenKept = between.filter((one) => keptSentences.delete(one));
  return [first.slice(0, limits.first), ...betweenKept, last.slice(0, limits.last)]
    .filter((one) => one !== "")
    .join(" … ");
}

/** Pure. [CP18] */
export function withRequest(state: WorkState, at: number, prompt: string, before: PromptContext): WorkState {
  const request = toRequest(prompt, at, kindOf(prompt, before));
  const { requests, plain, kept } = thin([...(state.requests ?? []), request]);
  const thinnedBefore = state.thinned ?? { plain: 0, kept: 0 };
  return {
    ...state,
    requests,
    ...(plain + kept + thinnedBefore.plain + thinnedBefore.kept === 0
      ? {}
      : { thinned: { plain: thinnedBefore.plain + plain, kept: thinnedBefore.kept + kept } }),
  };
}

/** [CP62] A command asks for work: only a rule or a question in it keeps the goal. */
function kindOf(prompt: string, before: PromptContext): UserRequest["kind"] {
  const inCommand = requestOfCommand(prompt);
  const kind = requestKind(inCommand ?? prompt, before);
  return inCommand !== null && kind === "follow_up" ? undefined : kind;
}

/** [CP19] Drops the oldest plain requests after the first ones, and detailed ones last. */
function thin(all: readonly UserRequest[]): { requests: readonly UserRequest[]; plain: number; kept: number } {
  let requests = all;
  let [plain, kept] = [0, 0];
  for (
    let dispensableAt = findDispensable(requests);
    dispensableAt !== null;
    dispensableAt = findDispensable(requests)
  ) {
    if (requests[dispensableAt]?.isKept) kept += 1;
    else plain += 1;
    requests = requests.toSpliced(dispensableAt, 1);
  }
  return { requests, plain, kept };
}

function findDispensable(requests: readonly UserRequest[]): number | null {
  const isPlainFull = requests.filter((one) => !one.isKept).length > counts.plain;
  const isFull = requests.length > counts.all || requests.reduce((sum, one) => sum + one.text.length, 0) > limits.all;
  if (!isPlainFull && !isFull) return null;
  const middle = requests.slice(counts.first, -counts.newest);
  const oldest = middle.findIndex((one) => !one.isKept);
  if (oldest >= 0) return counts.first + oldest;
  return isFull ? counts.first : null;
}

export function withoutSomeRequests(state: WorkState, count: number): WorkState {
  const [first, ...rest] = state.requests ?? [];
  if (!first) return state;
  const dropped = rest.slice(0, count);
  const kept = dropped.filter((one) => one.isKept).length;
  const thinnedBefore = state.thinned ?? { plain: 0, kept: 0 };
  return {
    ...state,
    requests: [first, ...rest.slice(count)],
    thinned: { plain: thinnedBefore.plain + dropped.length - kept, kept: thinnedBefore.kept + kept },
  };
}

export function earlierRequests(state: WorkState): readonly UserRequest[] {
  const { firstPrompt, lastPrompt, conversation } = state;
  const userTurns = conversation.filter((turn) => turn.role === "user" && isRequest(turn.text));
  const texts = new Set(userTurns.map(({ text }) => text));
  const unspoken = [firstPrompt, lastPrompt].filter((text) => text !== null && isRequest(text) && !texts.has(text));
  const all = [
    ...[...new Set(unspoken)].map((text) => ({ text: text ?? "", at: null })),
    ...userTurns.map(({ text, at }) => ({ text, at })),
  ];
  return all.map(({ text, at }) => toRequest(text, at, kindOf(text, {})));
}

function toRequest(prompt: string, at: number | null, kind: UserRequest["kind"]): UserRequest {
  return { text: gist(prompt), at, ...(kind ? { kind } : {}), ...(carriesDetail(prompt) ? { isKept: true } : {}) };
}

export function lastGoalRequest(requests: readonly UserRequest[]): UserRequest | null {
  return requests.findLast((one) => one.kind === undefined) ?? requests[0] ?? null;
}
