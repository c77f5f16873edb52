import { basename, dirname } from "node:path";
import type { JsonObject } from "../../src/shared/json-fields.ts";
import type { PlayedCut } from "./play.ts";
import { isKind, type SessionEvent } from "./session-events.ts";
import { gramLength, normalized } from "./text-match.ts";

/** Phrases by which a brief states something of its own. The only ones that depend on its wording. */
const phrases = {
  running: /\bwas running\b|\bstill running\b|\bin mid-turn\b|\bin the middle of\b|\bend (?:was )?not seen\b/i,
  waiting: /\bwaiting for (?:the user|you|an answer)\b|\bthe turn (?:was over|had ended)\b/i,
  interrupted: /\b(?:the user|user) (?:had )?interrupted\b|\binterrupted by the user\b/i,
  fileSame: /\bas the chat left it\b|\bunchanged\b|\bthe same\b/i,
  fileChanged: /\bCHANGED\b|\bchanged since\b/,
  fileMissing: /\bMISSING\b|\bis gone\b|\bdeleted\b/,
  branch: /^\W*(?:git|branch)\b/i,
  branchSame: /\bunchanged\b|\bthe same\b/i,
} as const;

export type FalseClaim =
  | "a call runs that had ended"
  | "in mid-turn after its end"
  | "waits in mid-turn"
  | "interrupted by nobody"
  | "a changed file is unchanged"
  | "an unchanged file is changed"
  | "a file is missing that is there"
  | "another branch";

/** Share of a line's sequences that stand in what was said. */
const quotedShare = 0.5;
const callChars = { least: 6, most: 30 };

/** Statements of the brief's own that what the bench knows contradicts, each once a line. */
export function falseClaims(played: PlayedCut): FalseClaim[] {
  const said = normalized(saidTexts(played).join("\n"));
  const own = played.resumed.brief.split("\n").filter((line) => !isQuoted(normalized(line), said));
  return own.flatMap((line) => [aboutTurn(line, played), aboutFiles(line, played), aboutBranch(line, played)].flat());
}

function saidTexts({ before }: PlayedCut): string[] {
  return before.flatMap((event) => {
    if (event.kind === "prompt" || event.kind === "answer" || event.kind === "harness") return [event.text];
    return event.kind === "compaction" ? [event.summary] : [];
  });
}

function isQuoted(line: string, said: string): boolean {
  const size = gramLength(line);
  let count = 0;
  let found = 0;
  for (let at = 0; at + size <= line.length; at += 3) {
    count += 1;
    if (said.includes(line.slice(at, at + size))) found += 1;
  }
  return count > 0 && found / count >= quotedShare;
}

export type TurnState = "running" | "waiting" | "interrupted" | "unanswered";

const stateAfter: Partial<Record<SessionEvent["kind"], TurnState>> = {
  prompt: "unanswered",
  answer: "running",
  call: "running",
  end: "running",
  turnEnd: "waiting",
  interruption: "interrupted",
};

export function turnState({ before }: Pick<PlayedCut, "before">): TurnState {
  return before.flatMap(({ kind }) => stateAfter[kind] ?? []).at(-1) ?? "running";
}

function aboutTurn(line: string, played: PlayedCut): FalseClaim[] {
  const isRunning = turnState(played) === "running";
  const wasInterrupted = played.before.some(({ kind }) => kind === "interruption");
  return [
    phrases.running.test(line) ? aboutRunning(normalized(line), played) : [],
    phrases.waiting.test(line) && isRunning ? (["waits in mid-turn"] as const) : [],
    phrases.interrupted.test(line) && !wasInterrupted ? (["interrupted by nobody"] as const) : [],
  ].flat();
}

/** @param line normalized */
function aboutRunning(line: string, played: PlayedCut): FalseClaim[] {
  const calls = played.before.filter(isKind("call"));
  const over = new Set(played.before.filter(isKind("end")).map(({ id }) => id));
  const open = calls.filter(({ id }) => !over.has(id));
  if (turnState(played) === "waiting" && open.length === 0) return ["in mid-turn after its end"];
  const isOfEnded = calls.some(({ id, input }) => over.has(id) && quotesInput(line, input));
  return isOfEnded && !open.some(({ input }) => quotesInput(line, input)) ? ["a call runs that had ended"] : [];
}

function quotesInput(line: string, input: JsonObject): boolean {
  return Object.values(input).some((value) => {
    const part = typeof value === "string" ? normalized(value).slice(0, callChars.most) : "";
    return part.length >= callChars.least && line.includes(part);
  });
}

function aboutFiles(line: string, { before, changedFile, has, session }: PlayedCut): FalseClaim[] {
  if (phrases.branch.test(line)) return [];
  const paths = [...new Set(before.filter(isKind("call")).flatMap(({ edits }) => edits))].filter(has);
  const named = paths.filter((path) => isNamed(line, path, session.cwd));
  // A line on several files does not say which of them it means.
  const [path] = named;
  if (path === undefined || named.length > 1) return [];
  if (phrases.fileChanged.test(line)) return changedFile === path ? [] : ["an unchanged file is changed"];
  if (phrases.fileMissing.test(line)) return ["a file is missing that is there"];
  return phrases.fileSame.test(line) && changedFile === path ? ["a changed file is unchanged"] : [];
}

function aboutBranch(line: string, { isBranchChanged, branch }: PlayedCut): FalseClaim[] {
  if (!phrases.branch.test(line) || branch === null || !line.includes(branch)) return [];
  return phrases.branchSame.test(line) === isBranchChanged ? ["another branch"] : [];
}

/** By its name and the folder that it is in. */
export function isNamed(text: string, path: string, cwd: string): boolean {
  const name = basename(path);
  const folder = basename(dirname(path));
  const wanted = dirname(path) === cwd || folder === "" ? name : `${folder}/${name}`;
  return text.includes(wanted);
}
