import type { ErrorNote, ToolRun } from "../../contract/work-state.ts";
import { isSuccess } from "../words/completion.ts";
import { clauses, contentWords, sentences } from "../words/sentences.ts";
import { tellsProblem } from "../words/work-request.ts";
import { repeats } from "./command-runs.ts";

/** Pure. */

type Call = Pick<ToolRun, "name" | "input">;

export function errorOf(at: number, { name, input }: Call, output: string): ErrorNote {
  return { at, text: `${name} ${input}: ${output}`, call: { name, input } };
}

export function isErrorOf(error: ErrorNote | null, { name, input }: Call): boolean {
  return error?.text.startsWith(`${name} ${input}: `) === true;
}

const shellTool = /^(?:Bash|PowerShell)\b/;

/** [RE41] [RE130] Where the exit code may hide a failure, the chat's words decide. */
export function errorAfterCall(error: ErrorNote | null, call: Call): ErrorNote | null {
  if (error === null || isErrorOf(error, call)) return null;
  if (!error.call || !shellTool.test(call.name) || !shellTool.test(error.call.name)) return error;
  const isAgain = repeats(call.input, error.call.input);
  if (isAgain === "certainly") return null;
  return isAgain === "perhaps" ? { ...error, isRunAgain: true } : error;
}

/** [RE130] */
export function errorAfterWords(error: ErrorNote | null, message: string): ErrorNote | null {
  if (!error?.isRunAgain) return error;
  const isSolved = sentences(message).some((one) =>
    clauses(one).some((clause) => isSuccess(clause) && !tellsProblem(clause) && isAbout(error, clause)),
  );
  return isSolved ? null : error;
}

/** The last sentence since the error that is about it. */
export function saidSince(
  error: ErrorNote,
  said: readonly { readonly text: string; readonly at: number }[],
): string | null {
  const later = said.filter(({ at }) => at > error.at).flatMap(({ text }) => sentences(text));
  return later.findLast((one) => isAbout(error, one)) ?? null;
}

function isAbout({ text }: ErrorNote, sentence: string): boolean {
  const words = contentWords(text.replaceAll(/[/.:-]+/g, " "));
  return [...contentWords(sentence)].some((word) => words.has(word));
}
