import { stripVTControlCharacters } from "node:util";
import { estimateTokenCount } from "tokenx";
import { falseClaims, isNamed, turnState, type FalseClaim } from "./claims.ts";
import { outputOf } from "./content.ts";
import { harnessFormIn } from "./harness-text.ts";
import type { PlayedCut } from "./play.ts";
import { isKind, withoutWithdrawn, type EventOf, type SessionEvent } from "./session-events.ts";
import { gramLength, normalized, presentShare, requestShare, shareIn } from "./text-match.ts";

/** Shares are from 0 to 1; null where the cut has none of it. */
export interface Measures {
  readonly isRefused: number;
  readonly filesNext: number | null;
  /** Whether most of it stands in the brief, and how much does. */
  readonly lastRequest: number | null;
  readonly lastRequestShare: number | null;
  readonly olderPrompts: number | null;
  readonly lastWords: number | null;
  /** How much of the answer that the newest prompt lets the chat carry out, where a brief has room for it. */
  readonly approvedAnswer: number | null;
  /** Of the newest commands, those whose last line of output it has. */
  readonly outcomes: number | null;
  readonly harnessText: number;
  readonly falseClaims: readonly FalseClaim[];
  /** Of the lines that quote calls, errors, files or answers, those on work before the two newest prompts. */
  readonly oldLines: number | null;
  readonly tokens: number | null;
}

const nextCalls = 20;
const substantialChars = 30;
const olderChars = 20;
const olderPrefix = 60;
const lastWordsChars = 160;
/** An answer below it is quoted by its end; one beyond it has no room beside all else. */
const approvedTokens = { least: 60, most: 1_200 };
const outcomeCommands = 3;
const outcomeChars = 60;
const harnessChars = { least: 7, most: 40 };

export function judge(played: PlayedCut): Measures {
  const { resumed } = played;
  const before = withoutWithdrawn(played.before);
  const brief = normalized(resumed.brief);
  const prompts = before.filter(isKind("prompt")).map(({ text }) => text);
  const newest = lastSubstantial(prompts);
  const newestShare = newest && requestShare(newest.text, brief);
  return {
    isRefused: Number(resumed.refusal !== null),
    filesNext: share(filesEditedNext(played), (path) => isNamed(resumed.brief, path, played.session.cwd)),
    lastRequest: newestShare && Number(newestShare >= presentShare),
    lastRequestShare: newestShare,
    olderPrompts: share(olderPrompts(prompts, newest?.index ?? prompts.length - 1), (prefix) => brief.includes(prefix)),
    lastWords: lastWordsIn(before, brief),
    approvedAnswer: approvedAnswerIn({ ...played, before }, brief),
    outcomes: share(lastLines(before), (line) => shareIn(line, brief) >= presentShare),
    harnessText: Number(showsHarness(played.before, resumed.brief, brief)),
    falseClaims: falseClaims(played),
    oldLines: share(quotingLines(played), ({ isOld }) => isOld),
    tokens: resumed.refusal === null ? estimateTokenCount(resumed.brief) : null,
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

/** A prompt that says too little to be understood alone, and asks nothing, approves what was said before it. */
function approvedAnswerIn(played: PlayedCut, brief: string): number | null {
  const { before } = played;
  const at = before.findLastIndex(({ kind }) => kind === "prompt");
  const prompt = before[at];
  const said = before.slice(0, at).findLast(({ kind }) => kind === "prompt" || kind === "answer");
  if (prompt?.kind !== "prompt" || said?.kind !== "answer" || turnState(played) === "waiting") return null;
  const tokens = estimateTokenCount(said.text);
  const isNod = weight(prompt.text) < substantialChars && !/[?？/]/.test(prompt.text);
  if (!isNod || tokens < approvedTokens.least || tokens > approvedTokens.most) return null;
  return shareIn(normalized(said.text), brief);
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

interface QuotingLine {
  readonly isOld: boolean;
}

const quoteChars = 24;
const quoteStep = 4;

/** Lines that quote the chat's work, each by the newest event that it quotes. The user's words are never too old. */
function quotingLines({ before, resumed }: PlayedCut): QuotingLine[] {
  const prompts = before.flatMap(({ kind }, index) => (kind === "prompt" ? [index] : []));
  const border = prompts.at(-2) ?? 0;
  const asked = normalized(
    before
      .filter(isKind("prompt"))
      .map(({ text }) => text)
      .join("\n"),
  );
  const [old, fresh] = [before.slice(0, border), before.slice(border)].map(workIn) as [string, string];
  return resumed.brief.split("\n").flatMap((line): QuotingLine[] => {
    const grams = gramsOf(normalized(line));
    if (grams.some((gram) => asked.includes(gram))) return [];
    if (grams.some((gram) => fresh.includes(gram))) return [{ isOld: false }];
    return grams.some((gram) => old.includes(gram)) ? [{ isOld: true }] : [];
  });
}

function workIn(events: readonly SessionEvent[]): string {
  return normalized(events.flatMap(workTexts).join("\n"));
}

function gramsOf(line: string): string[] {
  const size = gramLength(line) < 10 ? quoteChars / 2 : quoteChars;
  const count = Math.floor((line.length - size) / quoteStep) + 1;
  return Array.from({ length: Math.max(0, count) }, (_, n) => line.slice(n * quoteStep, n * quoteStep + size));
}

function workTexts(event: SessionEvent): string[] {
  if (event.kind === "answer") return [event.text];
  if (event.kind === "end") return event.error === null ? [] : [event.error];
  return event.kind === "call" ? textsOfCall(event) : [];
}

function textsOfCall({ input, edits }: EventOf<"call">): string[] {
  return [...edits, ...Object.values(input).flatMap((value) => (typeof value === "string" ? [value] : []))];
}
