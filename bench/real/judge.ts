import { stripVTControlCharacters } from "node:util";
import { estimateTokenCount } from "tokenx";
import {
  falseClaims,
  isNamed,
  type FalseClaim,
  gramLength,
  normalized,
  presentShare,
  requestShare,
  shareIn,
} from "./claims.ts";
import { harnessFormIn } from "./harness-text.ts";
import type { PlayedCut } from "./play.ts";
import { outputOf, isKind, withoutWithdrawn, type SessionEvent } from "./session-events.ts";

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
