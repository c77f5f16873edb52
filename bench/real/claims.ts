import { basename, dirname } from "node:path";
import type { PlayedCut } from "./play.ts";
import { isKind } from "./session-events.ts";
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
const callChars = 30;

/** Statements of the brief's own that what the bench knows contradicts, each once a line. */
export function falseClaims(played: PlayedCut): FalseClaim[] {
  const said = normalized(saidTexts(played).join("\n"));
  const own = played.resumed.brief.split("\n").filter((line) => !isQuoted(normalized(line), said));
  return own.flatMap((line) => [...aboutTurn(line, played), ...aboutFiles(line, played), ...aboutBranch(line, played)]);
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

export function turnState({ before }: Pick<PlayedCut, "before">): TurnState {
  const kinds = new Set(["prompt", "answer", "call", "end", "turnEnd", "interruption"]);
  switch (before.findLast(({ kind }) => kinds.has(kind))?.kind) {
    case "turnEnd":
      return "waiting";
    case "interruption":
      return "interrupted";
    case "prompt":
      return "unanswered";
    default:
      return "running";
  }
}

function openCalls({ before }: PlayedCut) {
  const ended = new Set(before.filter(isKind("end")).map(({ id }) => id));
  const all = before.filter(isKind("call"));
  return { open: all.filter(({ id }) => !ended.has(id)), ended: all.filter(({ id }) => ended.has(id)) };
}

function aboutTurn(line: string, played: PlayedCut): FalseClaim[] {
  const state = turnState(played);
  const found: FalseClaim[] = [];
  if (phrases.running.test(line)) {
    const { open, ended } = openCalls(played);
    const text = normalized(line);
    const isOf = (input: object): boolean =>
      Object.values(input).some((value) => {
        const part = typeof value === "string" ? normalized(value).slice(0, callChars) : "";
        return part.length >= 6 && text.includes(part);
      });
    if (state === "waiting" && open.length === 0) found.push("in mid-turn after its end");
    else if (!open.some(({ input }) => isOf(input)) && ended.some(({ input }) => isOf(input)))
      found.push("a call runs that had ended");
  }
  if (phrases.waiting.test(line) && state === "running") found.push("waits in mid-turn");
  if (phrases.interrupted.test(line) && !played.before.some(({ kind }) => kind === "interruption"))
    found.push("interrupted by nobody");
  return found;
}

function aboutFiles(line: string, { before, tampered, has, session }: PlayedCut): FalseClaim[] {
  if (phrases.branch.test(line)) return [];
  const paths = [...new Set(before.filter(isKind("call")).flatMap(({ edits }) => edits))].filter(has);
  const named = paths.filter((path) => isNamed(line, path, session.cwd));
  // A line on several files does not say which of them it means.
  const [path] = named;
  if (path === undefined || named.length > 1) return [];
  if (phrases.fileChanged.test(line)) return tampered.has(path) ? [] : ["an unchanged file is changed"];
  if (phrases.fileMissing.test(line)) return ["a file is missing that is there"];
  return phrases.fileSame.test(line) && tampered.has(path) ? ["a changed file is unchanged"] : [];
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
