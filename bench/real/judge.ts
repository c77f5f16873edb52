import { basename, dirname } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { estimateTokenCount } from "tokenx";
import type { JsonObject } from "../../src/shared/json-fields.ts";
import {
  type EventOf,
  harnessFormIn,
  outputOf,
  isKind,
  type SessionEvent,
  withoutWithdrawn,
} from "./session-events.ts";
import { countNames, namesUsedNext, type NameCounts } from "./names.ts";
import type { PlayedCut } from "./play.ts";

/** Pure: whether a text stands in another, whatever marks, line breaks or quotation stand between its words. */

const gramChars = { letters: 12, signs: 5 };
const signs = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u;
/** For texts that are long in a brief. */
const firstChars = 200;
const prohibition =
  /\b(?:do not|don['’]t|never|only if|must not|without|except|instead of|avoid)\b|ない(?:で|こと)|するな|禁止|不要|않|마세요|말고|금지/i;
const minSentenceChars = 15;
/** Of a text that counts as present. */
const presentShare = 0.7;

/** Letters and digits alone, in lower case. */
function normalized(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, "");
}

/** Share of the character sequences of `wanted` that stand in `held`; both normalized. */
function shareIn(wanted: string, held: string): number {
  const size = gramLength(wanted);
  if (wanted.length <= size) return held.includes(wanted) ? 1 : 0;
  let found = 0;
  const count = wanted.length - size + 1;
  for (let at = 0; at < count; at++) if (held.includes(wanted.slice(at, at + size))) found += 1;
  return found / count;
}

function gramLength(text: string): number {
  return signs.test(text) ? gramChars.signs : gramChars.letters;
}

/** Of a long request the beginning and its key sentence count, half each. @param brief normalized */
function requestShare(request: string, brief: string): number {
  if (normalized(request).length <= firstChars) return shareIn(normalized(request), brief);
  const first = shareIn(normalized(request.slice(0, firstChars)), brief);
  return (first + shareIn(normalized(keySentence(request)), brief)) / 2;
}

/** The last sentence that forbids something, else the last one. */
function keySentence(text: string): string {
  return prohibitionsOf(text).at(-1) ?? sentencesOf(text).at(-1) ?? text;
}

/** Sentences that forbid something. */
function prohibitionsOf(text: string): string[] {
  return sentencesOf(text).filter((one) => prohibition.test(one));
}

function sentencesOf(text: string): string[] {
  return text.split(/(?<=[.!?])\s+|(?<=[。！？])|\n+/).filter((one) => normalized(one).length >= minSentenceChars);
}

/** Phrases by which a brief states something of its own. The only ones that depend on its wording. */
const phrases = {
  running: /\bwas running\b|\bstill running\b|\bin mid-turn\b|\bin the middle of\b|\bend (?:was )?not seen\b/i,
  waiting: /\bwaiting for (?:the user|you|an answer)\b|\bthe turn (?:was over|had ended)\b/i,
  interrupted: /\b(?:the user|user) (?:had )?interrupted\b|\binterrupted by the user\b/i,
  fileSame: /\bas the chat left it\b|\bunchanged\b|\bthe same\b|\bnot written since\b|: "same"/i,
  fileChanged: /\b(?:CHANGED|WRITTEN)\b|\bchanged since\b/,
  fileMissing: /\bMISSING\b|\bis gone\b|\bdeleted\b(?!\): there AGAIN)/,
  branch: /^\W*(?:git|branch)\b/i,
  branchSame: /\bunchanged\b|\bthe same\b/i,
} as const;

type FalseClaim =
  | "a call runs that had ended"
  | "in mid-turn after its end"
  | "waits in mid-turn"
  | "waits with a prompt unanswered"
  | "interrupted without an interruption"
  | "a changed file is unchanged"
  | "an unchanged file is changed"
  | "a file is missing that is there"
  | "another branch";

/** Around a phrase: what the chat or the user said is no statement of the brief's. */
const contextChars = 12;
const callChars = { least: 6, most: 30 };

/** A line of the brief, with what was said in the session, normalized. */
interface Line {
  readonly text: string;
  readonly said: string;
}

/** Statements of the brief's own that what the bench knows contradicts, each once a line. */
function falseClaims(played: PlayedCut): FalseClaim[] {
  const said = normalized(saidTexts(played).join("\n"));
  const lines = played.resumed.brief.split("\n").map((text): Line => ({ text, said }));
  return lines.flatMap((line) => [aboutTurn(line, played), aboutFiles(line, played), aboutBranch(line, played)].flat());
}

/** Inputs and outputs of calls, too: a brief may show them. */
function saidTexts({ before }: PlayedCut): string[] {
  return before.flatMap((event) => {
    if (event.kind === "prompt" || event.kind === "answer" || event.kind === "harness") return [event.text];
    if (event.kind === "call") return Object.values(event.input).filter((value) => typeof value === "string");
    if (event.kind === "end") return [event.error ?? outputOf(event.response)];
    return event.kind === "compaction" ? [event.summary] : [];
  });
}

function states({ text, said }: Line, name: keyof typeof phrases): boolean {
  const found = phrases[name].exec(text);
  if (found === null) return false;
  const from = Math.max(0, found.index - contextChars);
  return !said.includes(normalized(text.slice(from, found.index + found[0].length + contextChars)));
}

type TurnState = "running" | "waiting" | "interrupted" | "unanswered";

const stateAfter: Partial<Record<SessionEvent["kind"], TurnState>> = {
  prompt: "unanswered",
  answer: "running",
  call: "running",
  end: "running",
  turnEnd: "waiting",
  interruption: "interrupted",
};

/** Calls by which a chat asks its user. */
const questions: ReadonlySet<string> = new Set(["AskUserQuestion", "ExitPlanMode", "request_user_input", "question"]);

function openCalls({ before }: Pick<PlayedCut, "before">): EventOf<"call">[] {
  const over = new Set(before.filter(isKind("end")).map(({ id }) => id));
  return before.filter(isKind("call")).filter(({ id }) => !over.has(id));
}

function turnState({ before }: Pick<PlayedCut, "before">): TurnState {
  return before.flatMap(({ kind }) => stateAfter[kind] ?? []).at(-1) ?? "running";
}

function aboutTurn(line: Line, played: PlayedCut): FalseClaim[] {
  const stood = turnState(played);
  const wasInterrupted = played.before.some(({ kind }) => kind === "interruption");
  const isAsking = openCalls(played).some(({ name }) => questions.has(name));
  return [
    states(line, "running") ? aboutRunning(normalized(line.text), played) : [],
    states(line, "waiting") && stood === "running" && !isAsking ? (["waits in mid-turn"] as const) : [],
    states(line, "waiting") && stood === "unanswered" ? (["waits with a prompt unanswered"] as const) : [],
    states(line, "interrupted") && !wasInterrupted ? (["interrupted without an interruption"] as const) : [],
  ].flat();
}

/** @param line normalized */
function aboutRunning(line: string, played: PlayedCut): FalseClaim[] {
  const open = openCalls(played);
  if (turnState(played) === "waiting" && open.length === 0) return ["in mid-turn after its end"];
  const quotes = (input: JsonObject): boolean => quotesInput(line, input, played.session.cwd);
  const isOfEnded = played.before.filter(isKind("call")).some((call) => !open.includes(call) && quotes(call.input));
  // An open patch stands there as an edit of each of its files, and one of numbers alone by its name.
  const isOfOpen = open.some(
    ({ name, input, edits }) =>
      quotes(input) ||
      edits.some((path) => quotes({ path })) ||
      (textsIn(input).length === 0 && line.includes(normalized(name))),
  );
  return isOfEnded && !isOfOpen ? ["a call runs that had ended"] : [];
}

/** @param cwd paths inside of it may stand without it */
function quotesInput(line: string, input: JsonObject, cwd: string): boolean {
  return textsIn(input).some((text) => {
    const part = normalized(text.replaceAll(`${cwd}/`, "")).slice(0, callChars.most);
    return part.length >= callChars.least && line.includes(part);
  });
}

function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

function aboutFiles(line: Line, { before, changedFile, has, session }: PlayedCut): FalseClaim[] {
  if (phrases.branch.test(line.text)) return [];
  const paths = [...new Set(before.filter(isKind("call")).flatMap(({ edits }) => edits))].filter(has);
  // Another folder may have a file of the same name: a whole path names no other.
  const isWhole = /^- [/~]/.test(line.text);
  const named = paths.filter((path) =>
    isWhole ? line.text.startsWith(`- ${path} `) : isNamed(line.text, path, session.cwd),
  );
  // A line on several files does not say which of them it means.
  const [path] = named;
  if (path === undefined || named.length > 1) return [];
  if (states(line, "fileChanged")) return changedFile === path ? [] : ["an unchanged file is changed"];
  if (states(line, "fileMissing")) return ["a file is missing that is there"];
  return states(line, "fileSame") && changedFile === path ? ["a changed file is unchanged"] : [];
}

function aboutBranch(line: Line, { isBranchChanged, branch }: PlayedCut): FalseClaim[] {
  if (!phrases.branch.test(line.text) || branch === null || !line.text.includes(branch)) return [];
  // What SHIM saw last may have changed before the death, too: only "unchanged" can be wrong for certain.
  return isBranchChanged && states(line, "branchSame") ? ["another branch"] : [];
}

/** By its name and the folder that it is in. */
function isNamed(text: string, path: string, cwd: string): boolean {
  const name = basename(path);
  const folder = basename(dirname(path));
  if (dirname(path) !== cwd && folder !== "" && folder !== ".") return text.includes(`${folder}/${name}`);
  // Another folder may have a file of the same name.
  return text.replaceAll(`/${name}`, "").includes(name);
}

/** Shares are from 0 to 1; null where the cut has none of it. Nothing that anybody said. */
export interface MeasuredCut {
  /** Why there is no brief: the code of the refusal. */
  readonly refusal: string | null;
  readonly filesNext: number | null;
  /** Whether most of it stands in the brief. */
  readonly lastRequest: number | null;
  readonly olderPrompts: number | null;
  readonly lastWords: number | null;
  /** Of the newest commands, those whose last line of output it has. */
  readonly outcomes: number | null;
  readonly hasHarnessText: boolean;
  readonly falseClaims: readonly FalseClaim[];
  readonly tokens: number | null;
  /** Names that the next calls use: those that the brief has. */
  readonly names: NameCounts;
  /** The same of the client's own summary, where one was made right before; null: none was. */
  readonly summaryNames: NameCounts | null;
  /** The same of the brief with the answers of one recall, and of two. */
  readonly recalledNames: readonly NameCounts[];
  readonly isCompacted: boolean;
}

const nextCalls = 20;
const substantialChars = 30;
const olderChars = 20;
const olderPrefix = 60;
const lastWordsChars = 160;
const outcomeCommands = 3;
const outcomeChars = 60;
const harnessChars = { least: 7, most: 40 };

export function judge(played: PlayedCut): MeasuredCut {
  const { resumed } = played;
  const before = withoutWithdrawn(played.before);
  const brief = normalized(resumed.brief);
  const prompts = before.filter(isKind("prompt")).map(({ text }) => text);
  const newest = lastSubstantial(prompts);
  const used = namesUsedNext(played);
  const made = played.cut.kind === "after a compaction" ? before.findLast(isKind("compaction")) : undefined;
  const summary = made === undefined || made.summary === "" ? null : made.summary;
  return {
    refusal: resumed.refusal,
    filesNext: share(filesEditedNext(played), (path) => isNamed(resumed.brief, path, played.session.cwd)),
    lastRequest: newest && Number(requestShare(newest.text, brief) >= presentShare),
    olderPrompts: share(olderPrompts(prompts, newest?.index ?? prompts.length - 1), (prefix) => brief.includes(prefix)),
    lastWords: lastWordsIn(before, brief),
    outcomes: share(lastLines(before), (line) => shareIn(line, brief) >= presentShare),
    hasHarnessText: showsHarness(played.before, resumed.brief, brief),
    falseClaims: falseClaims(played),
    tokens: resumed.refusal === null ? estimateTokenCount(resumed.brief) : null,
    names: countNames(resumed.brief, used),
    summaryNames: summary === null ? null : countNames(summary, used),
    recalledNames: [1, 2].map((count) =>
      countNames([resumed.brief, ...played.recalled.slice(0, count)].join("\n"), used),
    ),
    isCompacted: played.cut.kind === "after a compaction",
  };
}

function share<T>(all: readonly T[], has: (one: T) => boolean): number | null {
  return all.length === 0 ? null : all.filter(has).length / all.length;
}

/** A sign of Japanese, Korean or Chinese says as much as three letters. */
function weight(text: string): number {
  return normalized(text).length * (gramLength(text) < 10 ? 3 : 1);
}

/** The newest prompt that says enough to be understood alone, else the newest. */
function lastSubstantial(prompts: readonly string[]): { readonly text: string; readonly index: number } | null {
  const found = prompts.findLastIndex((text) => weight(text) >= substantialChars);
  const index = found === -1 ? prompts.length - 1 : found;
  const text = prompts[index];
  return text === undefined ? null : { text, index };
}

function olderPrompts(prompts: readonly string[], newest: number): string[] {
  return prompts
    .slice(0, newest)
    .map(normalized)
    .filter((text) => text.length > olderChars)
    .map((text) => text.slice(0, olderPrefix));
}

/** Files of the next calls, up to the next prompt that is not the first thing to follow; edited before, too. */
function filesEditedNext({ before, after }: PlayedCut): string[] {
  const known = new Set(successfulEdits(before, before));
  const start = after.findIndex(({ kind }) => kind === "prompt" || kind === "call");
  const end = after.findIndex(({ kind }, index) => kind === "prompt" && index > start);
  const turn = end === -1 ? after : after.slice(0, end);
  const last = turn.filter(isKind("call")).at(nextCalls);
  const window = last === undefined ? turn : turn.slice(0, turn.indexOf(last));
  return [...new Set(successfulEdits(window, after))].filter((path) => known.has(path));
}

function successfulEdits(events: readonly SessionEvent[], ends: readonly SessionEvent[]): string[] {
  const failed = new Set(ends.filter(isKind("end")).flatMap(({ id, error }) => (error === null ? [] : [id])));
  return events.filter(isKind("call")).flatMap(({ id, edits }) => (failed.has(id) ? [] : edits));
}

function lastWordsIn(before: readonly SessionEvent[], brief: string): number | null {
  const last = before.findLast(isKind("answer"));
  if (last === undefined) return null;
  return Number(shareIn(normalized(last.text).slice(-lastWordsChars), brief) >= presentShare);
}

const commandTools: ReadonlySet<string> = new Set(["Bash", "bash", "shell"]);

/** Last lines of what the newest commands have printed, normalized. */
function lastLines(before: readonly SessionEvent[]): string[] {
  const commands = new Set(
    before.filter(isKind("call")).flatMap(({ id, name }) => (commandTools.has(name) ? [id] : [])),
  );
  const lines = before
    .filter(isKind("end"))
    .flatMap((end) => (commands.has(end.id) ? (lastLineOf(end.error ?? outputOf(end.response)) ?? []) : []));
  return lines.slice(-outcomeCommands);
}

function lastLineOf(output: string): string | null {
  const lines = stripVTControlCharacters(output)
    .split("\n")
    .map((line) => normalized(line).slice(0, outcomeChars));
  return lines.findLast((line) => line !== "") ?? null;
}

/** A failed call is quoted with its error. */
const errorOfCall = / FAILED: .*/;

/** A summary of the client's own may be shown, named as such. */
function showsHarness(before: readonly SessionEvent[], raw: string, brief: string): boolean {
  if (raw.split("\n").some((line) => harnessFormIn(line.replace(errorOfCall, "")) !== null)) return true;
  const own = normalized(
    before.flatMap((event) => (event.kind === "prompt" || event.kind === "answer" ? [event.text] : [])).join("\n"),
  );
  const texts = before.filter(isKind("harness")).map(({ text }) => normalized(text.replaceAll(/<[^>]*>/g, "")));
  return texts.some((text) => {
    const wanted = text.slice(0, harnessChars.most);
    return wanted.length >= harnessChars.least && brief.includes(wanted) && !own.includes(wanted);
  });
}
