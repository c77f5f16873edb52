import { basename } from "node:path";
import { filePathOf, isAgentCall, shellCommandOf } from "../../../clients/adapter/tools.ts";
import type { Item } from "../../../clients/conversation/conversation.ts";
import { valuesIn } from "../learnt/edits.ts";

/** Pure: words and calls of a session, in pieces that are short enough to be quoted whole. */

/** Characters of a passage; a longer text is several, which end at line ends. */
const maxPassageChars = 1_200;
/** Characters of what a passage is about, in front of it. */
const maxAboutChars = 200;

export type Speaker = "user" | "chat" | "call" | "result" | "failed" | "summary" | "sub-agent";

export interface Passage {
  /** From 1, in the order of the sessions and of what is in them. */
  readonly number: number;
  /** Session that it is of. */
  readonly session: string;
  /** Number of the prompt that it is or follows, from 1; 0: none. */
  readonly prompt: number;
  /** Epoch ms; null: not known. */
  readonly at: number | null;
  readonly who: Speaker;
  /** File that its call reads or writes; null: none, or several. */
  readonly file: string | null;
  /** Tool and what it was called with, for a call and its result; "" for words. */
  readonly about: string;
  readonly text: string;
  /** Number of the piece of its text, and of all its pieces. */
  readonly piece: readonly [number: number, of: number];
}

interface CallFacts {
  readonly about: string;
  readonly file: string | null;
  readonly isOfAgent: boolean;
}

export interface AskedSession {
  readonly session: string;
  /** Oldest first, without secrets. */
  readonly items: readonly Item[];
}

/** @param sessions oldest first; each follows the one before it */
export function passagesOf(sessions: readonly AskedSession[]): Passage[] {
  const passages: Passage[] = [];
  for (const one of sessions) addPassages(passages, one);
  return passages;
}

function addPassages(passages: Passage[], { session, items }: AskedSession): void {
  const calls = new Map<string, CallFacts>();
  let prompt = 0;
  for (const item of items) {
    if (item.kind === "prompt") prompt += 1;
    if (item.kind === "call") calls.set(item.id, factsOf(item.name, item.input));
    const call = item.kind === "call" ? calls.get(item.id) : item.kind === "result" ? calls.get(item.of) : undefined;
    const { about = "", file = null } = call ?? {};
    const pieces = piecesOf(item.kind === "call" ? valuesIn(item.input).join("\n") : item.text);
    for (const [index, text] of pieces.entries()) {
      const number = passages.length + 1;
      const piece = [index + 1, pieces.length] as const;
      passages.push({ number, session, prompt, at: item.at, who: speakerOf(item, call), file, about, text, piece });
    }
  }
}

function factsOf(name: string, input: unknown): CallFacts {
  const about = `${name} ${subjectOf(name, input).replaceAll(/\s+/g, " ")}`.slice(0, maxAboutChars).trim();
  return { about, file: filePathOf(name, input), isOfAgent: isAgentCall(name) };
}

/** File or command of a call, else the first text of its input. */
export function subjectOf(name: string, input: unknown): string {
  return filePathOf(name, input) ?? shellCommandOf(name, input)?.text ?? valuesIn(input)[0] ?? "";
}

function speakerOf(item: Item, call: CallFacts | undefined): Speaker {
  if (item.kind === "prompt") return "user";
  if (item.kind === "answer") return "chat";
  if (item.kind !== "result") return item.kind;
  if (call?.isOfAgent) return "sub-agent";
  return item.isError ? "failed" : "result";
}

function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let rest = text.trim();
  while (rest.length > maxPassageChars) {
    const end = rest.lastIndexOf("\n", maxPassageChars);
    const cut = end > maxPassageChars / 2 ? end : maxPassageChars;
    pieces.push(rest.slice(0, cut).trimEnd());
    rest = rest.slice(cut).trimStart();
  }
  return rest === "" ? pieces : [...pieces, rest];
}

/** Whether a path is named by its last parts, or by a part of its name. */
export function isFile(path: string | null, asked: string): boolean {
  if (path === null) return false;
  const parts = asked.replace(/^\.?\//, "");
  return path === asked || path.endsWith(`/${parts}`) || basename(path) === parts;
}
